"""`alexnet inspect STORE`: what a store contains, and everything that was found in its photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet.data import store_notes
from alexnet.data.checks import duplicate_sets, find
from alexnet.data.classes import NO_LABEL
from alexnet.data.findings import DuplicateSets, Findings, PhotoName, describe, describe_sets
from alexnet.data.near_duplicates import near_duplicates
from alexnet.data.store import Split, Store


@dataclass(frozen=True)
class StoreInspection:
    """The contents of a store; its header has the rest."""

    path: str
    digest: str
    splits: dict[str, int]
    """Images of each split."""
    photos_per_class: dict[str, dict[str, int]]
    """By WNID, then by split."""
    findings: Findings | None
    """Complete; None for stores of earlier versions, which have none."""
    near_duplicates: DuplicateSets | None
    """None if they were not searched for."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def inspect_store(
    store: Store, near: bool = False, progress: Callable[[int], object] = lambda count: None
) -> StoreInspection:
    """The contents of a store, with `near` also its near duplicates, for which every image is read."""
    manifest = store.manifest
    notes = store_notes.read_all(store.path)
    findings = manifest.findings
    if notes:
        findings = find(
            store_notes.photos(notes),
            manifest.classes,
            manifest.statistics_split,
            store_notes.read_dropped(store.path),
        )
    counts = {name: _counts(store.split(name)) for name in store.splits}
    return StoreInspection(
        path=str(store.path),
        digest=store.digest,
        splits={name: entry.count for name, entry in manifest.splits.items()},
        photos_per_class={
            each.wnid: {name: own[label] for name, own in counts.items()}
            for label, each in enumerate(manifest.classes)
        },
        findings=findings,
        near_duplicates=_near_duplicates(store, progress) if near else None,
    )


def describe_store(found: StoreInspection) -> list[str]:
    """The inspection as lines of text."""
    counts = ", ".join(f"{count:,} {name}" for name, count in found.splits.items())
    lines = [f"{found.path}: {counts} images of {len(found.photos_per_class):,} classes"]
    if found.findings is None:
        lines.append("no findings: the store is of an earlier version; prepare it again, into a new one")
    else:
        lines += describe(found.findings) or ["nothing was found that would spoil an experiment"]
    if found.near_duplicates is not None:
        lines += describe_sets("near duplicates", found.near_duplicates) or ["no near duplicates"]
    return lines


def _counts(split: Split) -> list[int]:
    """(K,) images of each class."""
    labels = split.labels
    return np.bincount(labels[labels != NO_LABEL], minlength=len(split.manifest.classes)).tolist()


def _near_duplicates(store: Store, progress: Callable[[int], object]) -> DuplicateSets:
    """Sets that are not only copies."""

    def name(split: str, index: int) -> PhotoName:
        label = int(store.split(split).labels[index])
        wnid = "" if label == NO_LABEL else store.classes[label].wnid
        return PhotoName(split, store.split(split).key(index), wnid)

    pixels = {
        (split, photo.key): photo.pixels
        for split, photo in store_notes.photos(store_notes.read_all(store.path))
    }
    sets = [tuple(name(*place) for place in places) for places in near_duplicates(store, progress)]
    differ = [
        photos
        for photos in sets
        if not pixels or len({pixels[photo.split, photo.key] for photo in photos}) > 1
    ]
    return duplicate_sets(differ)
