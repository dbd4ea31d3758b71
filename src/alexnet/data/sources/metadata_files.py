"""The text files of a source that may label or list its photos."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import cached_property
from pathlib import Path

from alexnet.data.sources.label_file import TextFile, open_text
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_split import is_clutter
from alexnet.data.sources.survey import Survey
from alexnet.data.sources.text_table import SUFFIXES
from alexnet.data.sources.tree import join
from alexnet.errors import CommandError, DataError

_MAX_FILES = 64
"""More text files in a folder are not lists of photos, but one for each photo (such as YOLO's boxes)."""
_MAX_BYTES = 200_000_000
_UNREADABLE_LISTS = (".mat", ".pkl", ".pickle", ".npy", ".xlsx", ".xls", ".h5", ".hdf5")


class MetadataFiles:
    """Text files beside, above and in the folders of photos, read once and only if they are wanted."""

    def __init__(self, survey: Survey, base: str, roots: Iterable[str], places: Iterable[str]) -> None:
        """`roots` are the folders of the splits, `places` all folders of their photos."""
        self._tree = survey.tree
        self.folders = _folders(survey, base, roots, places)

    @cached_property
    def _numbers(self) -> list[int]:
        """The files' numbers in the listing; those nearest to the photos come first."""
        found: list[int] = []
        for folder in self.folders:
            files = [file for file in self._tree.listing.files(folder) if self._is_text(file)]
            found += files if len(files) <= _MAX_FILES else []
        return found

    @cached_property
    def unreadable_lists(self) -> list[str]:
        """Files of forms that are not read, but in which data sets are published with lists of splits."""
        listing = self._tree.listing
        files = [file for folder in self.folders for file in listing.files(folder)]
        names = [listing.path(file) for file in files]
        return [name for name in names if name.lower().endswith(_UNREADABLE_LISTS)]

    @cached_property
    def texts(self) -> list[TextFile]:
        """The files, cut into cells."""
        return [text for text in self._opened.values() if text is not None]

    @cached_property
    def no_text(self) -> list[str]:
        """The paths of files that are named like text, but are none."""
        return [self._tree.listing.path(file) for file, text in self._opened.items() if text is None]

    @cached_property
    def _opened(self) -> dict[int, TextFile | None]:
        opened: dict[int, TextFile | None] = {}
        for file in self._numbers:
            try:
                opened[file] = open_text(self._tree.read(file), self._tree.listing.path(file))
            except DataError:
                opened[file] = None
        return opened

    def _is_text(self, file: int) -> bool:
        name = self._tree.listing.name(file)
        return (
            name.lower().endswith(SUFFIXES) and not is_clutter(name) and self._tree.size(file) <= _MAX_BYTES
        )


def chosen_texts(survey: Survey, options: SourceOptions) -> list[TextFile]:
    """The files of `--labels`; CommandError for one that does not exist."""
    return [_chosen_text(survey, file) for file in options.labels.split(",") if file]


def _chosen_text(survey: Survey, labels: str) -> TextFile:
    """A file where the command runs, else in the source."""
    folder, _, name = labels.rpartition("/")
    inside = survey.tree.listing.find(folder, name)
    if Path(labels).is_file():
        path = Path(labels).resolve()
        root = survey.tree.path.resolve()
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        return open_text(path.read_bytes(), shown)
    if inside is not None:
        return open_text(survey.tree.read(inside), labels)
    raise CommandError(f"--labels {labels}: no such file, here or in {survey.tree.path}")


def _folders(survey: Survey, base: str, roots: Iterable[str], places: Iterable[str]) -> list[str]:
    """The folders of the splits, the base and those above, and in any of these the folders without places."""
    occupied = {above for place in places for above in _with_above(place)}
    inside = [each for root in roots for each in _with_above(root) if each.startswith(base)]
    found = [*inside, *_with_above(base)]
    for folder in [*dict.fromkeys(found)]:
        for each in _apart(survey, folder, occupied):
            found += [each, *_apart(survey, each, occupied)]
    return list(dict.fromkeys(found))


def _with_above(folder: str) -> list[str]:
    """A folder and those above, the root last."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


def _apart(survey: Survey, folder: str, occupied: Container[str]) -> list[str]:
    """The folders directly in a folder that are none of the occupied ones, and no clutter."""
    names = survey.tree.listing.subfolders(folder)
    paths = [join(folder, name) for name in names if not is_clutter(name)]
    return [path for path in paths if path not in occupied]
