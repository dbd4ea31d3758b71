"""A folder or an uncompressed tar as the same thing: a listing whose files can be read in any order."""

from __future__ import annotations

import os
import posixpath
import tarfile
import weakref
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alexnet.data.sources.listing import Int64s, Listing, ListingBuilder, join
from alexnet.errors import DataError

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
