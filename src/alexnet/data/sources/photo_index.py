"""Finds the photo that a file calls by a path, a name or a stem."""

from __future__ import annotations

from collections.abc import Iterable

from alexnet.data.decode import PHOTO_SUFFIXES


class PhotoIndex:
    """Photos by what label files call them: the whole name (with its path) before the name without suffix."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are relative to the root of the tree."""
        self._paths = list(paths)
        self._by_name: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        for number, path in enumerate(self._paths):
            name = path.rpartition("/")[2]
            self._by_name.setdefault(name, []).append(number)
            self._by_stem.setdefault(_stem(name), []).append(number)

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, number: int) -> str:
        """The path of a photo."""
        return self._paths[number]

    def find(self, text: str) -> int | None:
        """The number of the one photo of that name; None if there is none, or several.

        Folders in `text` must be the last ones of the photo's path, or end in all of them.
        """
        folder, _, name = text.strip().replace("\\", "/").rpartition("/")
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
    return all(one.casefold() == other.casefold() for one, other in ends)


def _stem(name: str) -> str:
    """The name without the suffix of a photo: `p1.0` of `p1.0.jpg`, and of itself."""
    lower = name.lower()
    suffix = next((suffix for suffix in PHOTO_SUFFIXES if lower.endswith(suffix)), "")
    return name[: len(name) - len(suffix)]
