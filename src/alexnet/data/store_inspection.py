"""`alexnet inspect STORE`: what a store contains, and everything that was found in its photos.

Near duplicates, which look alike though their pixels differ, are other sizes, qualities or formats of the
same picture. They are found by the perceptual hash of the package ImageHash, 64 bits from the lowest
frequencies.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from alexnet.data import store_notes
from alexnet.data.classes import NO_LABEL
from alexnet.data.findings import (
    DuplicateSets,
    Findings,
    PhotoName,
    describe_findings,
    describe_sets,
    duplicate_sets,
    findings_of,
)
from alexnet.data.image_reader import read_photo
from alexnet.data.store import Split, Store
from alexnet.errors import MissingPackage
from alexnet.text import counted

_MAX_BITS = 4
"""Bits in which the hashes of near duplicates differ at most; unrelated photos differ in about 32."""
_HASH_BITS = 64


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
        findings = findings_of(
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
        near_duplicates=_near_duplicate_sets(store, progress) if near else None,
    )


def describe_store(found: StoreInspection) -> list[str]:
    """The inspection as lines of text."""
    counts = ", ".join(f"{count:,} {name}" for name, count in found.splits.items())
    lines = [f"{found.path}: {counts} images of {counted(len(found.photos_per_class), 'class')}"]
    if found.findings is None:
        lines.append("no findings: the store is of an earlier version; prepare it again, into a new one")
    else:
        lines += describe_findings(found.findings) or ["nothing was found that would spoil an experiment"]
    if found.near_duplicates is not None:
        lines += describe_sets("near duplicates", found.near_duplicates) or ["no near duplicates"]
    return lines


def _counts(split: Split) -> list[int]:
    """(K,) images of each class."""
    labels = split.labels
    return np.bincount(labels[labels != NO_LABEL], minlength=len(split.manifest.classes)).tolist()


def _near_duplicate_sets(store: Store, progress: Callable[[int], object]) -> DuplicateSets:
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


def _refuse_without_imagehash() -> None:
    """MissingPackage with the package to install if ImageHash is missing."""
    if importlib.util.find_spec("imagehash") is None:
        raise MissingPackage("--near-duplicates needs ImageHash: type pip install 'alexnet[duplicates]'")


def near_duplicates(
    store: Store, progress: Callable[[int], object] = lambda count: None
) -> list[list[tuple[str, int]]]:
    """Sets of (split, index) of images that look alike, copies included, in the order of the store.

    Images are in one set if a chain of near duplicates connects them. Images of one color have no
    frequencies to compare and are left out. Reads every image once; `progress(count)` is called as images are
    finished. MissingPackage if ImageHash is missing.
    """
    _refuse_without_imagehash()
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    hashes = np.zeros(len(places), np.uint64)
    varied = np.zeros(len(places), bool)
    for number, (name, index) in enumerate(places):
        hashes[number], varied[number] = _hash(store.split(name), index)
        progress(1)
    chosen = np.flatnonzero(varied)
    pairs = similar_pairs(hashes[chosen])
    links = coo_matrix((np.ones(len(pairs)), pairs.T), (len(chosen), len(chosen)))
    _, component = connected_components(links, directed=False)
    by_component = np.argsort(component, kind="stable")
    sets = np.split(by_component, np.cumsum(np.bincount(component))[:-1]) if len(chosen) else []
    found = [[places[chosen[member]] for member in members.tolist()] for members in sets if len(members) > 1]
    order = {place: number for number, place in enumerate(places)}
    return sorted(found, key=lambda members: order[members[0]])


def similar_pairs(hashes: NDArray[np.uint64], bits: int = _MAX_BITS) -> NDArray[np.int64]:
    """(P, 2) the pairs i < j of hashes (N,) that differ in at most `bits` bits, ascending.

    Two such hashes agree in at least one of `bits` + 1 bands, so only those that share a band are compared.
    """
    edges = np.linspace(0, _HASH_BITS, bits + 2).astype(int)
    found = [np.empty((0, 2), np.int64)]
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        band = (hashes >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1)
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        bounds = np.r_[0, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(ordered)]
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            members = order[first:last]
            for place in range(len(members) - 1):
                apart = np.bitwise_count(hashes[members[place]] ^ hashes[members[place + 1 :]])
                near = members[place + 1 :][apart <= bits]
                found.append(np.stack([np.full(len(near), members[place]), near], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _hash(split: Split, index: int) -> tuple[int, bool]:
    """The hash of an image, and whether it has more than one color."""
    import imagehash

    photo = read_photo(split, index)
    image = Image.fromarray(photo[..., 0] if photo.shape[2] == 1 else photo)
    bits = imagehash.phash(image).hash.ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2), bool((photo != photo[0, 0]).any())
