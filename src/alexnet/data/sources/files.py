"""The files of a tree, packed: about 45 bytes a file, where a list of paths takes 200."""

from __future__ import annotations

import os
import posixpath
import tarfile
import weakref
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.sources.base import BoxesFound, Example, Labels, SourceSplit
from alexnet.errors import DataError

Int64s = npt.NDArray[np.int64]


class PackedNames:
    """Many short strings in one buffer; bytes that are not UTF-8 survive as in `os.listdir`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._text = bytearray()
        self._starts = array("q", [0])
        for name in names:
            self.append(name)

    def append(self, name: str) -> None:
        """Adds one name at the end."""
        self._text += name.encode("utf-8", "surrogateescape")
        self._starts.append(len(self._text))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> str:
        start, stop = self._starts[index], self._starts[index + 1]
        return self._text[start:stop].decode("utf-8", "surrogateescape")


class Listing:
    """Folders and files of a tree, sorted: a folder's files are neighbors, and so is all that lies below it.

    Folders are relative paths with `/`; the root is the empty string. Files are numbers 0..len - 1.
    """

    def __init__(self, folders: list[str], starts: Int64s, names: PackedNames) -> None:
        self.folders = folders
        self._numbers = {folder: number for number, folder in enumerate(folders)}
        self._starts = starts
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, file: int) -> str:
        """The file's own name, without folders."""
        return self._names[file]

    def path(self, file: int) -> str:
        """The file's path relative to the root."""
        folder = self.folders[int(np.searchsorted(self._starts, file, side="right")) - 1]
        return join(folder, self._names[file])

    def files(self, folder: str) -> range:
        """The files directly in a folder, sorted by name; empty if there is no such folder."""
        number = self._numbers.get(folder)
        return range(0) if number is None else range(int(self._starts[number]), int(self._starts[number + 1]))

    def below(self, folder: str) -> range:
        """The files in a folder and all its subfolders."""
        number = self._numbers.get(folder)
        if number is None:
            return range(0)
        return range(int(self._starts[number]), int(self._starts[self._after(number)]))

    def folders_below(self, folder: str) -> list[str]:
        """A folder and all its subfolders, as paths; empty if there is no such folder."""
        number = self._numbers.get(folder)
        return [] if number is None else self.folders[number : self._after(number)]

    def subfolders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder."""
        prefix = len(folder) + 1 if folder else 0
        inside = (path[prefix:] for path in self.folders_below(folder)[1:])
        return [name for name in inside if "/" not in name]

    def find(self, folder: str, name: str) -> int | None:
        """The file of that name in that folder, if there is one."""
        files = self.files(folder)
        low, high = files.start, files.stop
        while low < high:
            middle = (low + high) // 2
            if self._names[middle] < name:
                low = middle + 1
            else:
                high = middle
        return low if low < files.stop and self._names[low] == name else None

    def _after(self, number: int) -> int:
        """The first folder behind a folder and all its subfolders."""
        folder = self.folders[number]
        if not folder:
            return len(self.folders)
        after = number + 1
        while after < len(self.folders) and self.folders[after].startswith(folder + "/"):
            after += 1
        return after


class ListingBuilder:
    """Takes folders and files in any order; a name met twice counts the last time, as in tar."""

    def __init__(self) -> None:
        self._folders = {"": 0}
        self._folder_of = array("i")
        self._names = PackedNames()

    def folder(self, path: str) -> int:
        """Registers a folder and those above it."""
        number = self._folders.get(path)
        if number is None:
            self.folder(path.rpartition("/")[0])
            number = self._folders[path] = len(self._folders)
        return number

    def file(self, folder: str, name: str) -> None:
        """Adds one file."""
        self._folder_of.append(self.folder(folder))
        self._names.append(name)

    def build(self) -> tuple[Listing, Int64s]:
        """The sorted listing, and for each of its files the position at which it was added."""
        folders = sorted(self._folders, key=lambda path: path.split("/"))
        folder_of = np.frombuffer(self._folder_of, dtype=np.int32)
        by_folder = np.argsort(folder_of, kind="stable")
        bounds = np.searchsorted(folder_of[by_folder], np.arange(len(folders) + 1))
        names, added, starts = PackedNames(), array("q"), [0]
        for folder in folders:
            number = self._folders[folder]
            for position in self._sorted(by_folder[bounds[number] : bounds[number + 1]]):
                names.append(self._names[position])
                added.append(position)
            starts.append(len(names))
        listing = Listing(folders, np.array(starts, dtype=np.int64), names)
        return listing, np.array(added, dtype=np.int64)

    def _sorted(self, positions: Int64s) -> Iterator[int]:
        latest = {self._names[position]: position for position in positions.tolist()}
        return (latest[name] for name in sorted(latest))


def join(folder: str, name: str) -> str:
    """A relative path; the root is the empty string."""
    return f"{folder}/{name}" if folder and name else folder or name


_COMPRESSED = {
    b"\x1f\x8b": "gzip -d",
    b"BZh": "bzip2 -d",
    b"\xfd7zXZ": "xz -d",
    b"\x28\xb5\x2f\xfd": "zstd -d",
    b"PK\x03\x04": "unzip",
}


class Tree(ABC):
    """A listing with the place it was taken from."""

    def __init__(self, path: Path, listing: Listing) -> None:
        self.path = path
        self.listing = listing

    @abstractmethod
    def read(self, file: int) -> bytes:
        """The bytes of one file of the listing; DataError where they are no longer there."""

    def text(self, file: int) -> str:
        """A file as text; DataError where it is not UTF-8."""
        try:
            return self.read(file).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{self.path}: {self.listing.path(file)} is not a UTF-8 text") from None


class FolderTree(Tree):
    """A folder on disk."""

    def read(self, file: int) -> bytes:
        """The bytes of one file."""
        path = self.path / self.listing.path(file)
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error


class _OpenFile:
    """A file read by position; pickled by its path, closed when it is forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __reduce__(self) -> tuple[type[_OpenFile], tuple[Path]]:
        return _OpenFile, (self._path,)

    def read(self, offset: int, size: int) -> bytes:
        """Fewer than `size` bytes only at the end of the file; has no position that threads could disturb."""
        return os.pread(self._descriptor, size, offset)


class TarTree(Tree):
    """An uncompressed tar, read in place: only the headers are visited to list it."""

    def __init__(self, path: Path, listing: Listing, offsets: Int64s, sizes: Int64s) -> None:
        super().__init__(path, listing)
        self._file = _OpenFile(path)
        self._offsets = offsets
        self._sizes = sizes

    def read(self, file: int) -> bytes:
        """The bytes of one member; many threads may read at once."""
        size = int(self._sizes[file])
        data = self._file.read(int(self._offsets[file]), size)
        if len(data) < size:
            raise DataError(f"{self.path} has been cut short: {self.listing.path(file)} is not whole in it")
        return data


def open_folder(path: Path) -> FolderTree:
    """Lists a folder and everything below it, following links but not in circles."""
    builder = ListingBuilder()
    pending = [(path, "", frozenset[str]())]
    while pending:
        place, folder, above = pending.pop()
        builder.folder(folder)
        real = os.path.realpath(place)
        if real in above:
            continue
        for entry in _entries(place):
            if entry.is_dir():
                pending.append((Path(entry.path), join(folder, entry.name), above | {real}))
            else:
                builder.file(folder, entry.name)
    return FolderTree(path, builder.build()[0])


def open_tar(path: Path) -> TarTree:
    """Lists a tar of files and folders."""
    return _tar_tree(path, nested=False)


def open_tar_of_tars(path: Path) -> TarTree:
    """Lists a tar of tars, as ILSVRC's training images: `n01440764.tar` becomes a folder `n01440764`."""
    return _tar_tree(path, nested=True)


def refuse_compressed(path: Path) -> None:
    """DataError, naming the command that helps, for an archive that cannot be read at any place."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, command in _COMPRESSED.items():
        if start.startswith(magic):
            raise DataError(
                f"{path} is compressed and cannot be read in any order: first `{command} {path.name}`"
            )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}") from error


def _tar_tree(path: Path, nested: bool) -> TarTree:
    builder = ListingBuilder()
    offsets, sizes = array("q"), array("q")
    for folder, member in _members(path, nested):
        if member.isdir():
            builder.folder(join(folder, _clean(member.name)))
            continue
        inside, _, name = _clean(member.name).rpartition("/")
        builder.file(join(folder, inside), name)
        offsets.append(member.offset_data)
        sizes.append(_content_bytes(member))
    listing, added = builder.build()
    return TarTree(path, listing, np.array(offsets, np.int64)[added], np.array(sizes, np.int64)[added])


def _members(path: Path, nested: bool) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Every member, with the folder that its inner tar stands for."""
    with path.open("rb") as file:
        for member in _headers(path, file, 0, path.stat().st_size):
            if nested and member.isreg() and member.name.endswith(".tar"):
                folder = _clean(member.name).removesuffix(".tar")
                end = member.offset_data + member.size
                yield from ((folder, inner) for inner in _headers(path, file, member.offset_data, end))
            else:
                yield "", member


def _headers(path: Path, file: BinaryIO, start: int, end: int) -> Iterator[tarfile.TarInfo]:
    """The headers of the tar that lies at start..end of an open file."""
    file.seek(start)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            members: list[tarfile.TarInfo] = vars(tar)["members"]
            while (member := tar.next()) is not None and member.offset < end:
                members.clear()  # or it keeps a kilobyte for each of a million
                if member.offset_data + _content_bytes(member) > end:
                    raise DataError(f"{path} is cut short at {member.name}: get it again")
                yield member
            # tarfile takes a damaged header for the end, which is a block of zeros.
            file.seek(min(tar.offset, end))
            if any(file.read(min(tarfile.BLOCKSIZE, max(end - tar.offset, 0)))):
                raise DataError(f"{path} is damaged at byte {tar.offset:,}: get it again")
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a whole tar ({error}): get it again") from error


def _content_bytes(member: tarfile.TarInfo) -> int:
    return member.size if member.isreg() else 0


def _clean(name: str) -> str:
    """A member's path without a leading `./` or `/`; the tar's own root is the empty string."""
    path = posixpath.normpath(name).strip("/")
    return "" if path == "." else path


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


def unlabeled_split(tree: Tree, files: Sequence[int], folder: str) -> PhotoSplit:
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
    return name.lower().endswith(PHOTO_SUFFIXES) and not is_clutter(name)


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
