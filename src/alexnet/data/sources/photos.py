"""Photos as files of a tree: which files are photos, splits of them, and an account of what is left over."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.sources.contract import BoxesFound, Example, Labels, SourceSplit
from alexnet.data.sources.listing import Int64s, join
from alexnet.data.sources.tree import Tree

_PHOTO_SUFFIXES = (
    ".jpeg",
    ".jpg",
    ".png",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".jfif",
    ".jpe",
    ".ppm",
    ".pgm",
)
_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information")

STRAYS_NAMED = 3
"""Strays of one folder that are named one by one; more are counted with an example."""


class BoxReader(Protocol):
    """Finds the boxes of one photo of a split."""

    def __call__(self, index: int, path: str, label: int, image: bytes) -> BoxesFound:
        """The boxes of the split's photo `index`, which lies at `path` in its tree."""
        ...


@dataclass(frozen=True)
class PhotoSplit:
    """Files of a tree with their labels; see `make_split`."""

    tree: Tree
    files: Int64s
    labels: Labels
    folder: str
    wnids: list[str]
    boxes: BoxReader | None = None

    def __len__(self) -> int:
        return len(self.files)

    def key(self, index: int) -> str:
        """`<wnid>/<rest of the path>`, the same from every layout; always valid UTF-8."""
        path = self.tree.listing.path(int(self.files[index]))
        key, label = path.removeprefix(self.folder).strip("/"), int(self.labels[index])
        if label != NO_LABEL and not key.startswith(self.wnids[label] + "/"):
            key = f"{self.wnids[label]}/{key}"
        return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def __getitem__(self, index: int) -> Example:
        file, label = int(self.files[index]), int(self.labels[index])
        image = self.tree.read(file)
        boxes = BoxesFound()
        if self.boxes:
            boxes = self.boxes(index, self.tree.listing.path(file), label, image)
        return Example(image, label, self.key(index), *boxes)


def make_split(
    tree: Tree, files: Sequence[int], labels: Labels, folder: str, classes: Sequence[Class]
) -> PhotoSplit:
    """Files (in the tree's order) below `folder`, sorted by label: every layout gives the same order."""
    order = np.argsort(labels, kind="stable")
    numbers = np.array(files, dtype=np.int64)
    return PhotoSplit(tree, numbers[order], labels[order], folder, [c.wnid for c in classes])


def unlabelled_split(tree: Tree, files: Sequence[int], folder: str) -> PhotoSplit:
    """Files directly in `folder`, in the given order, of whose classes nothing is known."""
    return make_split(tree, files, np.full(len(files), NO_LABEL, dtype=np.int32), folder, [])


def is_clutter(name: str) -> bool:
    """Hidden files and what operating systems leave in folders; never photos or classes."""
    return name.startswith(".") or name.lower() in _CLUTTER


def photos_in(tree: Tree, folder: str) -> array[int]:
    """The files directly in a folder that are photos by their ending."""
    files, name = tree.listing.files(folder), tree.listing.name
    return array("q", [file for file in files if _is_photo(name(file))])


def photos_below(tree: Tree, folder: str) -> array[int]:
    """The photos in a folder and its subfolders, but for cluttering ones."""
    found = array("q")
    for place in tree.listing.folders_below(folder):
        inside = place.removeprefix(folder).split("/")
        if not any(is_clutter(part) for part in inside):
            found += photos_in(tree, place)
    return found


def _is_photo(name: str) -> bool:
    return name.lower().endswith(_PHOTO_SUFFIXES) and not is_clutter(name)


def strays_of(tree: Tree, splits: Iterable[SourceSplit], known: Iterable[int] = ()) -> list[str]:
    """Every file and empty folder that is in no split and not `known`, named or counted by folder."""
    used = np.zeros(len(tree.listing), dtype=bool)
    for split in splits:
        if isinstance(split, PhotoSplit) and split.tree is tree:
            used[split.files] = True
    used[np.fromiter(known, dtype=np.int64)] = True
    strays: list[str] = []
    skipped: str | None = None
    for folder in tree.listing.folders:
        if skipped is not None and folder.startswith(skipped):
            continue
        below = tree.listing.below(folder)
        if folder and not used[below.start : below.stop].any():
            strays.append(f"{folder}/ ({f'{len(below):,} files' if below else 'empty'})")
            skipped = folder + "/"
        else:
            strays += _stray_files(tree, folder, used)
    return strays


def _stray_files(tree: Tree, folder: str, used: np.ndarray) -> list[str]:
    files = [file for file in tree.listing.files(folder) if not used[file]]
    paths = [join(folder, tree.listing.name(file)) for file in files[:STRAYS_NAMED]]
    if len(files) <= STRAYS_NAMED:
        return paths
    return [f"{folder or '.'}/: {len(files):,} files such as {tree.listing.name(files[0])}"]
