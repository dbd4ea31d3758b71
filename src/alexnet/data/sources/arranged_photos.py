"""The photos of an arrangement of folders, numbered in the tree's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.sources.base import LeftOut
from alexnet.data.sources.folders import Arrangement
from alexnet.data.sources.label_file import PhotoTable, TextFile, read_table
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_index import PhotoIndex
from alexnet.data.sources.split_words import SplitName
from alexnet.data.sources.survey import Survey
from alexnet.data.sources.tree import Int64s
from alexnet.errors import DataError

_NAMED = 4
"""Classes that a message names."""


@dataclass(frozen=True)
class ArrangedPhotos:
    """All photos of an arrangement, in the tree's order."""

    survey: Survey
    arrangement: Arrangement
    files: Int64s
    """(N,) numbers in the tree's listing."""
    places: Int64s
    """(N,) numbers in `arrangement.places`."""

    def of(self, split: SplitName) -> Int64s:
        """The numbers of the split's photos."""
        is_of = np.array([place.split == split for place in self.arrangement.places], dtype=bool)
        return np.flatnonzero(is_of[self.places])

    def paths(self, numbers: Sequence[int] | Int64s) -> list[str]:
        """Paths relative to the source."""
        listing = self.survey.tree.listing
        return [listing.path(int(self.files[number])) for number in numbers]

    def names_at(self, level: int) -> list[str | None]:
        """The folder name at a level, for each place; None where it is not that deep."""
        return [
            place.parts[level - 1] if len(place.parts) >= level else None for place in self.arrangement.places
        ]

    def tables(self, numbers: Int64s, texts: Sequence[TextFile], options: SourceOptions) -> list[PhotoTable]:
        """The labels that text files give to some photos, which are renumbered from 0."""
        if not texts:
            return []
        index = PhotoIndex(self.paths(numbers))
        return [table for text in texts if (table := read_table(text, index, options)) is not None]


def arranged_photos(survey: Survey, arrangement: Arrangement) -> ArrangedPhotos:
    """All photos in the folders of an arrangement; DataError if there are none."""
    files = [np.array(survey.photos[place.folder], np.int64) for place in arrangement.places]
    if not files:
        raise DataError(
            f"{survey.tree.path} has no photos but in folders of annotations: name another folder"
        )
    places = [np.full(len(each), number, np.int64) for number, each in enumerate(files)]
    return ArrangedPhotos(survey, arrangement, np.concatenate(files), np.concatenate(places))


def left_out_folders(survey: Survey, reasons: Mapping[str, str]) -> list[LeftOut]:
    """Folders whose photos are left out, by reason; one for all where everything below it is."""
    found: dict[str, tuple[int, str]] = {}
    for folder, reason in reasons.items():
        top = folder
        while top and all(reasons.get(each) == reason for each in survey.below(top.rpartition("/")[0])):
            top = top.rpartition("/")[0]
        inside = sum(survey.below(top).values()) if top != folder else len(survey.photos[folder])
        found[top] = (inside, reason)
    return [LeftOut(f"{top or '.'}/ ({count:,} photos)", reason) for top, (count, reason) in found.items()]


def few(names: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
