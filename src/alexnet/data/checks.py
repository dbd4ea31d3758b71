"""Finds what spoils an experiment in the notes that `prepare` makes of each photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.findings import FEW_PHOTOS, DroppedPhoto, DuplicateSets, Findings, PhotoName
from alexnet.data.photo_note import PhotoNote


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


def find(
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
