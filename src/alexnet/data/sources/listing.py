"""The files of a tree, packed: about 45 bytes a file, where a list of paths takes 200."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

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
    """Folders and files of a tree, sorted: a folder's files are neighbours, and so is all that lies below it.

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
