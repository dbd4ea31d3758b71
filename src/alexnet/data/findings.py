"""What spoils an experiment, found in notes on photos before training: copies, tiny classes, imbalance."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from alexnet.data.classes import NO_LABEL, Class
from alexnet.text import counted, first_few

FEW_PHOTOS = 10
"""Training photos of a class below which it is listed."""
IMBALANCE = 10
"""Ratio of the largest to the smallest class from which on it is reported."""
LISTED = 20
"""Entries of each kind in the manifest; `alexnet inspect STORE --json` lists all."""
_PRINTED = 3
_ALL_LISTED = "  ... (`alexnet inspect STORE --json` lists all)"


class PhotoNote(NamedTuple):
    """One photo of the source, readable or not."""

    key: str
    label: int
    stamp: str
    """Sizes and times of its files, as `Stamped` gives them; empty if unknown."""
    content: str
    """Hash of its bytes and boxes; empty if there are none."""
    pixels: str = ""
    """Hash of its decoded pixels; empty if it is unreadable."""
    path: str = ""
    """Of its file, in the source; empty if it has none of its own, and in notes of earlier versions."""
    group: str = ""
    """What `--group-column` has for it; empty without."""


@dataclass(frozen=True, order=True)
class PhotoName:
    """A photo of the source."""

    split: str
    """The split that it is in."""
    key: str
    """Its name in the store."""
    wnid: str
    """Empty for unlabeled photos."""

    def __str__(self) -> str:
        return f"{self.split}/{self.key}"


@dataclass(frozen=True, order=True)
class DroppedPhoto:
    """A copy of another photo that `--drop-duplicates` left out, and the one that stays."""

    photo: PhotoName
    """The copy."""
    stays: PhotoName
    """The photo that is in the store."""
    stamp: str = field(default="", compare=False)
    """Of the copy, as in `PhotoNote`; empty in the manifest."""
    path: str = field(default="", compare=False)
    """The same."""

    @property
    def contradicts(self) -> bool:
        """Whether the two are labeled as different classes."""
        return "" != self.photo.wnid != self.stays.wnid != ""


def after_move(
    dropped: tuple[DroppedPhoto, ...] | None, old: str, new: str, keys: Container[str] | None = None
) -> tuple[DroppedPhoto, ...] | None:
    """The copies after photos went from one split to another: those with these keys; None for all."""

    def moved(photo: PhotoName) -> PhotoName:
        goes = photo.split == old and (keys is None or photo.key in keys)
        return replace(photo, split=new) if goes else photo

    return dropped and tuple(
        replace(each, photo=moved(each.photo), stays=moved(each.stays)) for each in dropped
    )


@dataclass(frozen=True)
class DuplicateSets:
    """Sets of photos with the same pixels."""

    sets: int = 0
    """Number of sets."""
    photos: int = 0
    """Copies: the photos of all sets but one of each."""
    across_splits: int = 0
    """Sets with photos in several splits."""
    across_classes: int = 0
    """Sets with photos in several classes, so that at least one is labeled wrongly."""
    first: tuple[tuple[PhotoName, ...], ...] = ()
    """Those across classes first, then those across splits."""


@dataclass(frozen=True)
class Findings:
    """What was found in the readable photos of a store. Classes are counted in the training split."""

    duplicates: DuplicateSets = field(default_factory=DuplicateSets)
    small_classes: dict[str, int] = field(default_factory=dict[str, int])
    """Training photos by WNID, of classes with fewer than ten (`FEW_PHOTOS`), smallest first."""
    one_photo_classes: tuple[str, ...] = ()
    """WNIDs of classes whose training photos, two or more, are all copies of one."""
    smallest_class: tuple[str, int] = ("", 0)
    """(WNID, training photos)."""
    largest_class: tuple[str, int] = ("", 0)
    """The same."""
    all_alike: bool = False
    """Whether all training photos, two or more, have the same pixels."""
    dropped: int | None = None
    """Copies that `--drop-duplicates` left out; None without it."""
    dropped_across_classes: int = 0
    """How many of them were in another class than the photo that stays."""
    first_dropped: tuple[DroppedPhoto, ...] = ()
    """Those first."""

    def shortened(self) -> Findings:
        """With at most `LISTED` entries of each kind, for the manifest."""
        duplicates = tuple(photos[:LISTED] for photos in self.duplicates.first[:LISTED])
        return replace(
            self,
            duplicates=replace(self.duplicates, first=duplicates),
            small_classes=dict(list(self.small_classes.items())[:LISTED]),
            one_photo_classes=self.one_photo_classes[:LISTED],
            first_dropped=tuple(replace(each, stamp="", path="") for each in self.first_dropped[:LISTED]),
        )


def describe_findings(found: Findings, command: str = "alexnet prepare") -> list[str]:
    """The findings as a few lines; none where nothing is wrong. `command` is what drops duplicates."""
    lines: list[str] = []
    if found.all_alike:
        lines.append("all training photos are copies of one: there is nothing to learn from them")
    lines += describe_sets("duplicates", found.duplicates)
    if found.duplicates.sets:
        lines.append(f"  `{command} --drop-duplicates` keeps one of each set")
    lines += _describe_dropped(found)
    if found.one_photo_classes:
        lines.append(f"classes of copies of one photo: {_listed(found.one_photo_classes)}")
    if found.small_classes:
        few = [f"{wnid} ({count})" for wnid, count in found.small_classes.items()]
        lines.append(f"classes with fewer than {FEW_PHOTOS} training photos: {_listed(few)}")
    (small, least), (large, most) = found.smallest_class, found.largest_class
    if least and most >= IMBALANCE * least:
        lines.append(
            f"imbalance: {most:,} training photos of {large}, {most / least:.0f} times as many as of {small} "
            f"({least:,})"
        )
    return lines


def describe_sets(what: str, found: DuplicateSets) -> list[str]:
    """Sets of photos as a few lines, which begin with their kind; none if there are none."""
    if not found.sets:
        return []
    places = [
        f"{count:,} across {places}"
        for places, count in (("splits", found.across_splits), ("classes", found.across_classes))
        if count
    ]
    sets = "1 set" if found.sets == 1 else f"{found.sets:,} sets"
    lines = [f"{what}: {sets} of {counted(found.sets + found.photos, 'photo')}"]
    lines[0] += f"; {', '.join(places)}" if places else ""
    lines += [f"  {' = '.join(map(str, photos[:_PRINTED]))}" for photos in found.first[:_PRINTED]]
    return lines + ([_ALL_LISTED] if found.sets > _PRINTED else [])


def _describe_dropped(found: Findings) -> list[str]:
    if found.dropped is None:
        return []
    lines = [f"dropped duplicates: {found.dropped:,}"]
    if found.dropped_across_classes:
        lines[0] += (
            f", {found.dropped_across_classes:,} of them in a different class than the photo that was kept"
        )
    for each in found.first_dropped[:_PRINTED]:
        lines.append(f"  {each.photo}, a copy of {each.stays}")
    return lines + ([_ALL_LISTED] if found.dropped > _PRINTED else [])


def _listed(names: Sequence[str]) -> str:
    return f"{len(names):,}: {first_few(names, _PRINTED)}"


@dataclass(frozen=True)
class NotedPhotos:
    """The readable photos of all splits, in columns."""

    splits: list[str]
    """(N,), as `keys`."""
    keys: list[str]
    labels: np.ndarray
    """(N,) int32."""
    pixels: np.ndarray
    """(N,) bytes: the hash of each photo."""
    stamps: list[str]

    @classmethod
    def of(cls, photos: Iterable[tuple[str, PhotoNote]]) -> NotedPhotos:
        """From (split, note) of all photos."""
        readable = [(split, photo) for split, photo in photos if photo.pixels]
        return cls(
            splits=[split for split, _ in readable],
            keys=[photo.key for _, photo in readable],
            labels=np.array([photo.label for _, photo in readable], np.int32),
            pixels=np.array([photo.pixels for _, photo in readable], np.bytes_),
            stamps=[photo.stamp for _, photo in readable],
        )

    def name(self, index: int, classes: Sequence[Class]) -> PhotoName:
        """The name of a photo."""
        label = int(self.labels[index])
        wnid = "" if label == NO_LABEL else classes[label].wnid
        return PhotoName(self.splits[index], self.keys[index], wnid)

    def duplicates(self) -> Iterator[list[int]]:
        """The indices of each set of photos with the same pixels, ascending."""
        order = np.argsort(self.pixels, kind="stable")
        ordered = self.pixels[order]
        starts = (
            np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, int)
        )
        ends = np.r_[starts[1:], len(ordered)]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if end - start > 1:
                yield order[start:end].tolist()


def findings_of(
    photos: Iterable[tuple[str, PhotoNote]],
    classes: Sequence[Class],
    training: str,
    dropped: Sequence[DroppedPhoto] | None = None,
) -> Findings:
    """What is found in photos given as (split, note), complete; `training` is the split that is counted."""
    noted = NotedPhotos.of(photos)
    chosen = np.array([split == training for split in noted.splits], bool)
    own = np.flatnonzero(chosen & (noted.labels != NO_LABEL))
    counts = np.bincount(noted.labels[own], minlength=len(classes))
    wnids = [each.wnid for each in classes]
    smallest, largest = (int(counts.argmin()), int(counts.argmax())) if len(counts) else (0, 0)
    few = sorted(np.flatnonzero(counts < FEW_PHOTOS).tolist(), key=lambda label: counts[label])
    contradicting = [each for each in dropped or () if each.contradicts]
    others = [each for each in dropped or () if not each.contradicts]
    return Findings(
        duplicates=duplicate_sets(
            tuple(noted.name(index, classes) for index in indices) for indices in noted.duplicates()
        ),
        small_classes={wnids[label]: int(counts[label]) for label in few},
        one_photo_classes=tuple(
            wnids[label]
            for label in np.flatnonzero(counts > 1).tolist()
            if len(np.unique(noted.pixels[own[noted.labels[own] == label]])) == 1
        ),
        smallest_class=(wnids[smallest], int(counts[smallest])),
        largest_class=(wnids[largest], int(counts[largest])),
        all_alike=int(chosen.sum()) > 1 == len(np.unique(noted.pixels[chosen])),
        dropped=None if dropped is None else len(dropped),
        dropped_across_classes=len(contradicting),
        first_dropped=(*contradicting, *others),
    )


def duplicate_sets(named: Iterable[tuple[PhotoName, ...]]) -> DuplicateSets:
    """The sets in the order of their weight, and how many there are of each kind."""
    sets = sorted(named, key=lambda photos: (not _across_classes(photos), not _across_splits(photos), photos))
    return DuplicateSets(
        sets=len(sets),
        photos=sum(len(photos) - 1 for photos in sets),
        across_splits=sum(map(_across_splits, sets)),
        across_classes=sum(map(_across_classes, sets)),
        first=tuple(sets),
    )


def _across_splits(photos: Sequence[PhotoName]) -> bool:
    return len({photo.split for photo in photos}) > 1


def _across_classes(photos: Sequence[PhotoName]) -> bool:
    return len({photo.wnid for photo in photos} - {""}) > 1
