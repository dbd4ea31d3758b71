"""What every reader of a folder or a tar receives: the files, the options, and where the photos are.

Photos are counted for each folder in one pass over the names.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property

from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_split import is_clutter, photos_in
from alexnet.data.sources.split_words import splits_of
from alexnet.data.sources.tree import Tree, join


@dataclass(frozen=True)
class Survey:
    """The photos in each folder; folders of clutter count as empty."""

    tree: Tree
    photos: dict[str, array[int]]
    """The files directly in a folder that are photos, for every folder that has some, in the tree's order."""
    total: dict[str, int]
    """Photos in a folder and below, for every folder that has some."""

    def subfolders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder that hold photos, at any depth."""
        return [name for name in self.tree.listing.subfolders(folder) if join(folder, name) in self.total]

    def below(self, folder: str) -> dict[str, int]:
        """The folders at and below a folder that directly hold photos, with their number."""
        listed = self.tree.listing.folders_below(folder)
        return {each: len(self.photos[each]) for each in listed if each in self.photos}

    def base(self) -> str:
        """The folder in which the layout begins, below folders that hold all photos in one other folder."""
        folder = ""
        while True:
            inside = self.subfolders(folder)
            if len(inside) != 1 or folder in self.photos or splits_of(inside)[inside[0]]:
                return folder
            deeper = join(folder, inside[0])
            if deeper in self.photos:
                return folder
            folder = deeper


def survey(tree: Tree) -> Survey:
    """Counts the photos in every folder of a tree."""
    photos: dict[str, array[int]] = {}
    total: dict[str, int] = {}
    for folder in tree.listing.folders:
        if any(is_clutter(part) for part in folder.split("/")):
            continue
        found = photos_in(tree, folder)
        if not found:
            continue
        photos[folder] = found
        parts = folder.split("/") if folder else []
        for depth in range(len(parts) + 1):
            above = "/".join(parts[:depth])
            total[above] = total.get(above, 0) + len(found)
    return Survey(tree, photos, total)


@dataclass(frozen=True, eq=False)
class OpenedSource:
    """A folder or tar whose form is to be recognized."""

    tree: Tree
    options: SourceOptions

    @cached_property
    def survey(self) -> Survey:
        """The photos in each folder; counted when they are first needed."""
        return survey(self.tree)

    @cached_property
    def base(self) -> str:
        """The folder in which the layout begins; see `Survey.base`."""
        return self.survey.base()
