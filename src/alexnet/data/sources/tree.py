"""Listings of folders and tars, and access to the files in them.

A listing is packed: it takes about 45 bytes a file, a list of paths takes 200. That matters for the 1.28
million photos of ImageNet.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import stat
import tarfile
import zlib
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from alexnet.errors import DataError
from alexnet.io import read_at

Int64s = npt.NDArray[np.int64]
MAX_FILE_BYTES = 2**30
"""Of a photo or a text in a folder."""
MAX_LISTED = 20_000_000
"""Rows of one list or table of photos; ImageNet-21k has 14 million photos."""
_MAX_PATHS = 20
"""By which links may lead to a folder."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip -d",
    b"BZh": "bzip2 -d",
    b"\xfd7zXZ": "xz -d",
    b"\x28\xb5\x2f\xfd": "zstd -d",
    b"PK\x03\x04": "unzip",
}
"""Commands that unpack a file, by its first bytes."""


class PackedNames:
    """Many short strings in one buffer; bytes that are not UTF-8 are kept as by `os.listdir`."""

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
    """Folders and files of a tree, sorted: the files in a folder are adjacent, and so are all files below it.

    Folders are relative paths with `/`; the root is the empty string. A file is a number 0..len - 1.
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

    def without(self, folders: Collection[str]) -> tuple[Listing, Int64s]:
        """The listing without these folders and all that is below them, and the number that each of its files
        has in this one.
        """
        left_out = {below for folder in folders for below in self.folders_below(folder)}
        builder, files = ListingBuilder(), array("q")
        for folder in self.folders:
            if folder not in left_out:
                builder.folder(folder)
                for file in self.files(folder):
                    builder.file(folder, self.name(file))
                    files.append(file)
        listing, added = builder.build()
        return listing, np.array(files, dtype=np.int64)[added]

    def ending_in(self, *suffixes: str) -> list[int]:
        """The files whose names end in `.txt`, or other suffixes in lower case; empty for no dot. Sorted."""
        return sorted(file for suffix in suffixes for file in self._by_suffix.get(suffix, ()))

    @cached_property
    def _by_suffix(self) -> dict[str, array[int]]:
        """The files by suffix, from one pass over all names."""
        found: dict[str, array[int]] = {}
        for file in range(len(self)):
            _, dot, suffix = self._names[file].rpartition(".")
            found.setdefault(dot and f".{suffix.lower()}", array("q")).append(file)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_by_suffix"}

    def _after(self, number: int) -> int:
        """The number of the first folder after a folder and all its subfolders."""
        folder = self.folders[number]
        if not folder:
            return len(self.folders)
        after = number + 1
        while after < len(self.folders) and self.folders[after].startswith(folder + "/"):
            after += 1
        return after


class ListingBuilder:
    """Builds a listing from folders and files in any order. Of equal paths the last one counts, as in tar."""

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


class Tree(ABC):
    """A listing and the folder or tar it was taken from."""

    def __init__(self, path: Path, listing: Listing) -> None:
        self.path = path
        self.listing = listing

    @abstractmethod
    def read(self, file: int) -> bytes:
        """The bytes of one file of the listing; DataError if they are no longer there."""

    @abstractmethod
    def without(self, folders: Collection[str]) -> Tree:
        """The tree without these folders and all that is below them."""

    @abstractmethod
    def size(self, file: int) -> int:
        """The number of bytes of one file; 0 if it is no longer there."""

    @abstractmethod
    def stamp(self, file: int) -> str:
        """Size and time of the last change of a file, without reading it; empty if it is gone."""

    def text(self, file: int) -> str:
        """A file as text; DataError if it is not UTF-8."""
        try:
            return self.read(file).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{self.path}: {self.listing.path(file)} is not UTF-8 text") from None


def read_file(path: Path) -> bytes:
    """The bytes of a file, or of a pipe; DataError if it cannot be read or has more than `MAX_FILE_BYTES`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"cannot read {path}: more than {MAX_FILE_BYTES:,} bytes")
    return data


class FolderTree(Tree):
    """A folder on disk."""

    def without(self, folders: Collection[str]) -> FolderTree:
        """As for `Tree`."""
        return FolderTree(self.path, self.listing.without(folders)[0])

    def read(self, file: int) -> bytes:
        """The bytes of one file."""
        return read_file(self.path / self.listing.path(file))

    def size(self, file: int) -> int:
        """The number of bytes of one file."""
        path = self.path / self.listing.path(file)
        return path.stat().st_size if path.exists() else 0

    def stamp(self, file: int) -> str:
        """As for `Tree`."""
        return _stamp(self.path / self.listing.path(file))


class TarTree(Tree):
    """An uncompressed tar, read in place; only its headers are read for the listing."""

    def __init__(self, path: Path, listing: Listing, offsets: Int64s, sizes: Int64s) -> None:
        super().__init__(path, listing)
        self._offsets = offsets
        self._sizes = sizes

    def without(self, folders: Collection[str]) -> TarTree:
        """As for `Tree`."""
        listing, kept = self.listing.without(folders)
        return TarTree(self.path, listing, self._offsets[kept], self._sizes[kept])

    def read(self, file: int) -> bytes:
        """The bytes of one member; safe to call from several threads."""
        size = int(self._sizes[file])
        try:
            data = read_at(self.path, int(self._offsets[file]), size)
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        if len(data) < size:
            raise DataError(f"{self.path} was cut short: {self.listing.path(file)} is incomplete")
        return data

    def size(self, file: int) -> int:
        """The number of bytes of one member."""
        return int(self._sizes[file])

    def stamp(self, file: int) -> str:
        """As for `Tree`; that of the whole tar, and the member's place in it."""
        return f"{_stamp(self.path)}:{self._offsets[file]}+{self._sizes[file]}"


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size}@{found.st_mtime_ns}"


def open_folder(path: Path) -> FolderTree:
    """Lists a folder and everything below it. Links are followed, cycles of links are not.

    Pipes and devices are left out: they may have no end. DataError if a folder cannot be listed, or if very
    many paths lead to it, as where folders have links to each other.
    """
    builder = ListingBuilder()
    pending = [(path, "", frozenset[str]())]
    visits = Counter[str]()
    while pending:
        place, folder, above = pending.pop()
        builder.folder(folder)
        real = os.path.realpath(place)
        if real in above:
            continue
        visits[real] += 1
        if visits[real] > _MAX_PATHS:
            raise DataError(f"{path}: links lead to {real} by more than {_MAX_PATHS} paths: remove some")
        for entry in _entries(place):
            kind = _kind(entry)
            if stat.S_ISDIR(kind):
                pending.append((Path(entry.path), join(folder, entry.name), above | {real}))
            elif stat.S_ISREG(kind) or stat.S_ISLNK(kind):
                builder.file(folder, entry.name)
    return FolderTree(path, builder.build()[0])


def _kind(entry: os.DirEntry[str]) -> int:
    """The mode of what an entry leads to; that of a link if it leads nowhere, or in a circle."""
    try:
        return entry.stat().st_mode
    except OSError:
        return stat.S_IFLNK


def open_tar(path: Path) -> TarTree:
    """Lists a tar of files and folders."""
    return _tar_tree(path, nested=False)


def open_tar_of_tars(path: Path) -> TarTree:
    """Lists a tar of tars, such as ILSVRC's training images: `n01440764.tar` is listed as a folder."""
    return _tar_tree(path, nested=True)


def archived_files(
    path: Path, is_wanted: Callable[[str], bool], most_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the wanted files in a tar, which may be compressed, in its order.

    DataError if the tar is not complete, or if one of these files has more than `most_bytes`.
    """
    try:
        with tarfile.open(path) as tar:
            members: list[tarfile.TarInfo] = vars(tar)["members"]
            while (member := tar.next()) is not None:
                members.clear()  # otherwise tarfile keeps about a kilobyte per member
                if not is_wanted(member.name):
                    continue
                if member.size > most_bytes:
                    size = f"{member.size:,} bytes, more than {most_bytes:,}"
                    raise DataError(f"{path}: {member.name} has {size}")
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name, content.read()
    except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} is not a complete archive ({error}): download it again") from error


def refuse_compressed(path: Path) -> None:
    """DataError, naming the command that unpacks it, for a compressed file: it allows no random access."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, command in _COMPRESSED.items():
        if start.startswith(magic):
            raise DataError(
                f"{path} is compressed and allows no random access: run `{command} {path.name}` first"
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
    """Every member, with the folder that its inner tar is listed as."""
    with path.open("rb") as file:
        for member in _headers(path, file, 0, path.stat().st_size):
            if nested and member.isreg() and member.name.endswith(".tar"):
                folder = _clean(member.name).removesuffix(".tar")
                end = member.offset_data + member.size
                yield from ((folder, inner) for inner in _headers(path, file, member.offset_data, end))
            else:
                yield "", member


def _headers(path: Path, file: BinaryIO, start: int, end: int) -> Iterator[tarfile.TarInfo]:
    """The headers of the tar at start..end of an open file."""
    file.seek(start)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            members: list[tarfile.TarInfo] = vars(tar)["members"]
            while (member := tar.next()) is not None and member.offset < end:
                members.clear()  # otherwise tarfile keeps about a kilobyte per member
                if member.offset_data + _content_bytes(member) > end:
                    raise DataError(f"{path} was cut short at {member.name}: download it again")
                yield member
            # tarfile treats a damaged header like the end, which is a block of zeros.
            file.seek(min(tar.offset, end))
            if any(file.read(min(tarfile.BLOCKSIZE, max(end - tar.offset, 0)))):
                raise DataError(f"{path} is damaged at byte {tar.offset:,}: download it again")
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a complete tar ({error}): download it again") from error


def _content_bytes(member: tarfile.TarInfo) -> int:
    return member.size if member.isreg() else 0


def _clean(name: str) -> str:
    """A member's path without leading `./` or `/`; the root of the tar is the empty string."""
    path = posixpath.normpath(name).strip("/")
    return "" if path == "." else path
