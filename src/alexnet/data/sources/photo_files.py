"""Photos as files of a tree: how many each folder has, a split of them, and finding one by its name."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.sources.base import CheckedBoxes, Example, Labels, SourceOptions, SourceSplit, stamp_of
from alexnet.data.sources.split_names import splits_of
from alexnet.data.sources.tree import Int64s, Tree, join
from alexnet.text import counted

_RAW = ".cr2 .cr3 .nef .nrw .arw .sr2 .dng .raf .orf .rw2 .pef .srw"
RAW_SUFFIXES = tuple(_RAW.split())
"""Of photos as a camera's sensor records them, which are not read."""
MAX_STRAYS_NAMED = 3
"""Strays of one folder that are named one by one; more are counted, with one as an example."""
_CLUTTER = (
    *("thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir", "@recycle", "#recycle", "#snapshot"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
)


class BoxReader(Protocol):
    """Finds the boxes of one photo of a split."""

    def __call__(self, index: int, path: str, label: int, image: bytes) -> CheckedBoxes:
        """The boxes of the split's photo `index`, which is at `path` in its tree."""
        ...


@dataclass(frozen=True)
class PhotoSplit:
    """Files of a tree with their labels; made by `make_split`."""

    tree: Tree
    files: Int64s
    """(N,)"""
    labels: Labels
    folder: str
    wnids: list[str]
    """In label order."""
    boxes: BoxReader | None = None
    groups: list[str] | None = None
    """(N,) as for `Grouped`; None without such a column."""

    def __len__(self) -> int:
        return len(self.files)

    def key(self, index: int) -> str:
        """`<wnid>/<rest of the path>`, the same for every layout; always valid UTF-8."""
        key, label = self.path(index).removeprefix(self.folder).strip("/"), int(self.labels[index])
        if label != NO_LABEL and not key.startswith(self.wnids[label] + "/"):
            key = f"{self.wnids[label]}/{key}"
        return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def path(self, index: int) -> str:
        """As for `Located`."""
        return self.tree.listing.path(int(self.files[index]))

    def group(self, index: int) -> str:
        """As for `Grouped`."""
        return self.groups[index] if self.groups else ""

    def stamp(self, index: int) -> str | None:
        """As for `Stamped`: of the photo's file and of its boxes."""
        photo = self.tree.stamp(int(self.files[index]))
        if self.boxes is None:
            return photo
        boxes = stamp_of(self.boxes, index)
        return None if boxes is None else f"{photo} {boxes}"

    def __getitem__(self, index: int) -> Example:
        file, label = int(self.files[index]), int(self.labels[index])
        image = self.tree.read(file)
        boxes = CheckedBoxes()
        if self.boxes:
            boxes = self.boxes(index, self.tree.listing.path(file), label, image)
        return Example(image, label, self.key(index), *boxes)


def make_split(
    tree: Tree,
    files: Sequence[int],
    labels: Labels,
    folder: str,
    classes: Sequence[Class],
    groups: list[str] | None = None,
) -> PhotoSplit:
    """A split of files (in the tree's order) below `folder`, sorted by label, as in every layout.

    `groups` (N,) are what a column names.
    """
    order = np.argsort(labels, kind="stable")
    numbers = np.array(files, dtype=np.int64)
    wnids = [each.wnid for each in classes]
    ordered = [groups[place] for place in order.tolist()] if groups else None
    return PhotoSplit(tree, numbers[order], labels[order], folder, wnids, groups=ordered)


def unlabeled_split(tree: Tree, files: Sequence[int], folder: str) -> PhotoSplit:
    """An unlabeled split of files directly in `folder`, in the given order."""
    return make_split(tree, files, np.full(len(files), NO_LABEL, dtype=np.int32), folder, [])


def class_in_name(path: str) -> str:
    """The part of a photo's name before (else after) its number: `cat` of `cat.0.jpg`; empty if none."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    before = re.fullmatch(r"(.*?)[\W_]*\d+[\W_]*(?:\(\d+\))?", stem)
    after = re.fullmatch(r"\d+[\W_]+(.*)", stem)
    found = (before and before[1]) or (after and after[1]) or ""
    return found if any(map(str.isalpha, found)) else ""


def is_clutter(name: str) -> bool:
    """Whether a file or folder is hidden or left by an operating system; never a photo or a class."""
    return name.startswith(".") or name.lower() in _CLUTTER


def photos_in(tree: Tree, folder: str) -> array[int]:
    """The files directly in a folder whose suffixes are those of photos."""
    files, name = tree.listing.files(folder), tree.listing.name
    return array("q", [file for file in files if _is_photo(name(file))])


def photos_below(tree: Tree, folder: str) -> array[int]:
    """The photos in a folder and its subfolders, except those in clutter."""
    found = array("q")
    for each in tree.listing.folders_below(folder):
        inside = each.removeprefix(folder).split("/")
        if not any(is_clutter(part) for part in inside):
            found += photos_in(tree, each)
    return found


def find_strays(tree: Tree, splits: Iterable[SourceSplit], known: Iterable[int] = ()) -> list[str]:
    """Every file and empty folder that is in no split and not among `known` files, by name or as a count."""
    used = np.zeros(len(tree.listing), dtype=bool)
    for split in splits:
        if isinstance(split, PhotoSplit) and split.tree is tree:
            used[split.files] = True
    used[np.fromiter(known, dtype=np.int64)] = True
    strays: list[str] = []
    reported: str | None = None
    for folder in tree.listing.folders:
        if reported is not None and folder.startswith(reported):
            continue
        below = tree.listing.below(folder)
        if folder and not used[below.start : below.stop].any():
            strays.append(f"{folder}/ ({counted(len(below), 'file') if below else 'empty'})")
            reported = folder + "/"
        else:
            strays += _stray_files(tree, folder, used)
    return strays


def _stray_files(tree: Tree, folder: str, used: np.ndarray) -> list[str]:
    files = [file for file in tree.listing.files(folder) if not used[file]]
    paths = [join(folder, tree.listing.name(file)) for file in files[:MAX_STRAYS_NAMED]]
    if len(files) <= MAX_STRAYS_NAMED:
        return paths
    return [f"{folder or '.'}/: {counted(len(files), 'file')} such as {tree.listing.name(files[0])}"]


def _is_photo(name: str) -> bool:
    return name.lower().endswith(PHOTO_SUFFIXES) and not is_clutter(name)


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


class PhotoIndex:
    """Photos by what label files call them: the whole name (with its path) before the name without suffix."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are relative to the root of the tree."""
        self._paths = list(paths)
        self._by_name: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        for number, path in enumerate(self._paths):
            name = composed(path.rpartition("/")[2])
            self._by_name.setdefault(name, []).append(number)
            self._by_stem.setdefault(_stem(name), []).append(number)

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, number: int) -> str:
        """The path of a photo."""
        return self._paths[number]

    def find_number(self, text: str) -> int | None:
        """The photo whose name ends in this number; None unless each photo ends in a number of its own."""
        return self._by_number.get(text.lstrip("0")) if text.isdecimal() else None

    @cached_property
    def _by_number(self) -> dict[str, int]:
        """The photos by the digits at the end of their names, without leading zeros."""
        found = [re.search(r"\d+$", _stem(path)) for path in self._paths]
        numbers = {match[0].lstrip("0"): place for place, match in enumerate(found) if match}
        return numbers if len(numbers) == len(self._paths) else {}

    def find(self, text: str) -> int | None:
        """The number of the one photo of that name; None if there is none, or several.

        Folders in `text` must be the last ones of the photo's path, or end in all of them.
        """
        folder, _, name = composed(text).strip().replace("\\", "/").rpartition("/")
        if not name:
            return None
        found = self._by_name.get(name) or self._by_stem.get(name) or self._by_stem.get(_stem(name), [])
        wanted = [part for part in folder.split("/") if part not in ("", ".", "..")]
        if wanted:
            found = [number for number in found if _fit(wanted, self._paths[number].split("/")[:-1])]
        return found[0] if len(found) == 1 else None


def _fit(wanted: list[str], folders: list[str]) -> bool:
    shorter = min(len(wanted), len(folders))
    ends = zip(wanted[len(wanted) - shorter :], folders[len(folders) - shorter :], strict=True)
    return all(one.casefold() == composed(other).casefold() for one, other in ends)


def composed(text: str) -> str:
    """The text with each letter and its accent as one character: macOS writes names of files as two."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _stem(name: str) -> str:
    """The name without the suffix of a photo: `p1.0` of `p1.0.jpg`, and of itself."""
    lower = name.lower()
    suffix = next((suffix for suffix in PHOTO_SUFFIXES if lower.endswith(suffix)), "")
    return name[: len(name) - len(suffix)]
