"""Parquet and Arrow files: `train-*.parquet`, `validation-*.parquet` with columns of photos and labels.

Whatever wrote them (Hugging Face, pandas, Polars, DuckDB), the columns are found by their meaning. Labels of
several files are matched by the classes' names where the files have them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class, are_custom, classes_from_wnids, imagenet_classes, wnid_in
from alexnet.data.decode import UnreadableImage
from alexnet.data.manifest import MANIFEST_FILE, PrepareSettings
from alexnet.data.sources.base import (
    Example,
    Labels,
    Source,
    SourceOptions,
    SourceSplit,
    SplitOrigin,
    group_of,
)
from alexnet.data.sources.devkit import official_name
from alexnet.data.sources.photo_files import OpenedSource, find_strays
from alexnet.data.sources.photo_table import MISSING
from alexnet.data.sources.split_names import SPLIT_FOLDERS, partition_of, place_of, split_of_word
from alexnet.data.sources.table_file import (
    TABLE_SUFFIXES,
    Columns,
    TableFile,
    find_columns,
    holds_photos,
    plain,
    unwrap,
)
from alexnet.data.sources.table_labels import (
    RawLabels,
    class_order,
    labels_of_table,
    read_labels,
    without_unused,
)
from alexnet.data.sources.tree import FolderTree, Int64s, PackedNames, Tree, read_file
from alexnet.errors import CommandError, DataError
from alexnet.text import counted, first_few

_MAX_NAMED = 5
_PARTS_KEPT = 2
"""Parts of tables in memory: some writers make parts of a gigabyte, and all threads read the same ones."""
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""What Hugging Face writes beside tables."""


def read_photos(opened: OpenedSource) -> Source | None:
    """The source of a folder's tables; None unless the first that can be read has a column that may hold
    photos.
    """
    return read(opened) if _hold_photos(opened.tree, _find_tables(opened.tree)) else None


def read(opened: OpenedSource) -> Source | None:
    """The source of a folder's tables, with all its other files as strays; None if there are no tables.

    Errors as `read_files`.
    """
    tree, tables = opened.tree, _find_tables(opened.tree)
    if not tables:
        return None
    source = read_files(tree.path, [tree.listing.path(table) for table in tables], opened.options)
    described = [file for file in range(len(tree.listing)) if tree.listing.name(file) in _DESCRIPTIONS]
    strays = [*source.strays, *find_strays(tree, [], [*tables, *described])]
    return dataclasses.replace(source, strays=strays)


def _find_tables(tree: Tree) -> list[int]:
    """The tables in a folder and below it, in the tree's order; none in a tar and in a store.

    A store consists of tables too, but is none of photos as they come.
    """
    listing = tree.listing
    if not isinstance(tree, FolderTree) or listing.find("", MANIFEST_FILE) is not None:
        return []
    return [file for file in listing.ending_in(*TABLE_SUFFIXES) if is_table(listing.name(file))]


def _hold_photos(tree: Tree, tables: Sequence[int]) -> bool:
    """Whether the first table that can be read has a column that may hold photos."""
    for table in tables:
        try:
            schema = TableFile(tree.path / tree.listing.path(table)).schema()
        except DataError:
            continue
        return any(holds_photos(field.type) for field in schema)
    return False


def is_table(name: str) -> bool:
    """Whether a file of this name is a table."""
    return name.lower().endswith(TABLE_SUFFIXES) and not name.startswith((".", "_"))


def read_files(folder: Path, paths: Sequence[str], options: SourceOptions) -> Source:
    """The source of tables given relative to their folder.

    DataError if columns are ambiguous or labels are no labels, and for several configurations of which
    `options` choose none. CommandError for a column of groups that does not exist or is empty.
    """
    chosen, strays = _choose(folder, sorted(paths), options.configuration)
    tables = _read_tables(folder, chosen, options)
    parts = _parts(tables, strays)
    used = [part for part in parts.values() if part.name in SPLIT_FOLDERS]
    labels = [table.labels for part in used for table in part.tables]
    order, from_metadata = class_order(labels)
    by_split = {part.name: part.to_labels(order, labels) for part in used}
    names = {part.name: part.file_names() for part in used}
    labeled_splits = [name for name, found in by_split.items() if (found >= 0).any()]
    if not labeled_splits:
        raise DataError(f"{folder}: no photo in the tables has a label (columns {_columns(tables)})")
    first = labeled_splits[0]
    first_part = next(part for part in used if part.name == first)
    classes, by_split = _classes(
        order, from_metadata, by_split, first_part.names_of_rows(names[first]), first, strays
    )
    splits: dict[str, SourceSplit] = {}
    for part in used:
        values, own_names = by_split[part.name], names[part.name]
        labeled = values >= 0
        if labeled.any():
            if not labeled.all():
                missing = int((~labeled).sum())
                strays.append(f"{part.name}: {missing:,} of {counted(len(values), 'photo')}, without a label")
        elif part.name == "test" and (own := part.names_of_rows(own_names)) and official_name(own[0]):
            labeled = ~labeled
        else:
            strays.append(f"{part.name}: {counted(len(values), 'photo')} without labels")
            continue
        splits[part.name] = part.split(labeled, values, own_names, classes, options.group_column)
    if options.group_column and not any(
        group_of(split, index) for split in splits.values() for index in range(len(split))
    ):
        raise CommandError(
            f"--group-column {options.group_column}: this column of {folder} is empty: fill it in, or name "
            "another one"
        )
    if "val" not in splits and "test" in splits and (splits["test"].labels >= 0).all():
        splits["val"] = splits.pop("test")
    form = "parquet files" if all(table.file.path.suffix == ".parquet" for table in tables) else "Arrow files"
    settings = PrepareSettings(exif=are_custom(classes))
    origins = {name: parts[name].origin() for name in splits if name in parts}
    if "val" in splits and "val" not in parts:
        origins["val"] = parts["test"].origin()
    return Source(form, folder, classes, splits, strays, origins=origins, settings=settings)


class ParquetSplit:
    """Rows of some tables; the parts of tables that were read last are kept, for all threads together."""

    def __init__(
        self,
        name: str,
        tables: Sequence[_Table],
        rows: Int64s,
        labels: Labels,
        names: PackedNames | None,
        classes: Sequence[Class],
        group_names: Sequence[str],
    ) -> None:
        """`rows` (N,) are counted over all tables; `names` and `group_names` are of all rows, or of none."""
        self.labels = labels
        self._split, self._rows, self._names, self._group_names = name, rows, names, group_names
        self._files = [(table.file, table.columns.photo) for table in tables]
        self._wnids = [each.wnid for each in classes]
        groups = [
            (number, group, count)
            for number, table in enumerate(tables)
            for group, count in enumerate(table.group_rows)
        ]
        self._groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        self._ends = np.cumsum(self._groups[:, 2])
        self._parts: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_parts", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _parts={}, _lock=threading.Lock())

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, index: int) -> str:
        """`<wnid>/<file name>` if file names are unique, else split and row: `train/00000042`.

        The file name alone for unlabeled photos.
        """
        row = int(self._rows[index])
        if self._names is None:
            return f"{self._split}/{row:08d}"
        label = int(self.labels[index])
        return self._names[row] if label == NO_LABEL else f"{self._wnids[label]}/{self._names[row]}"

    def group(self, index: int) -> str:
        """As for `Grouped`."""
        return self._group_names[int(self._rows[index])] if self._group_names else ""

    def __getitem__(self, index: int) -> Example:
        """As for `SourceSplit`; UnreadableImage for a row without a photo, or with several."""
        place = int(self._rows[index])
        group = int(np.searchsorted(self._ends, place, side="right"))
        row = place - int(self._ends[group] - self._groups[group, 2])
        file, column = self._files[int(self._groups[group, 0])]
        try:
            image, path = unwrap(self._images(file, column, group)[row].as_py())
            if image is None:
                image = _beside(file.path, path)
        except DataError:
            raise
        except ValueError as error:
            raise UnreadableImage(str(error)) from error
        return Example(image, int(self.labels[index]), self.key(index))

    def _images(self, file: TableFile, column: str, group: int) -> Any:
        """The encoded photos of one part of a table; others wait while it is read."""
        with self._lock:
            if group not in self._parts:
                while len(self._parts) >= _PARTS_KEPT:
                    del self._parts[next(iter(self._parts))]
                self._parts[group] = file.group(int(self._groups[group, 1]), column)
            return self._parts[group]


@dataclass(frozen=True)
class _Table:
    """One file and what is known of it without its photos."""

    file: TableFile
    split: str
    columns: Columns
    labels: RawLabels
    group_rows: list[int]
    rows_by_split: Mapping[str, npt.NDArray[np.bool_]]
    """For each split, which rows (N,) belong to it; empty if all belong to `split`."""


@dataclass(frozen=True)
class _Part:
    """The rows of one split."""

    name: str
    tables: list[_Table]

    def to_labels(self, order: Sequence[str], all_labels: Sequence[RawLabels]) -> Labels:
        """(N,) of the split's rows."""
        found = [labels_of_table(table.labels, order, all_labels) for table in self.tables]
        return np.concatenate(found)[self._inside()]

    def origin(self) -> SplitOrigin:
        """The columns of its first table."""
        columns = self.tables[0].columns
        return SplitOrigin(labels="columns", image_column=columns.photo, label_column=columns.label)

    def file_names(self) -> PackedNames | None:
        """The photos' names by row of all tables; None unless each photo of the split has its own."""
        if not all(table.columns.path_field for table in self.tables):
            return None
        columns = (plain(t.file.column(t.columns.photo, t.columns.path_field)) for t in self.tables)
        names = [name for column in columns for name in column.to_pylist()]
        inside = [names[row] for row in self._rows().tolist()]
        if not all(inside) or len(set(inside)) < len(inside):
            return None
        return PackedNames(name or "" for name in names)

    def names_of_rows(self, names: PackedNames | None) -> list[str] | None:
        """`file_names` of the split's rows alone."""
        return None if names is None else [names[row] for row in self._rows().tolist()]

    def split(
        self,
        kept: npt.NDArray[np.bool_],
        labels: Labels,
        names: PackedNames | None,
        classes: list[Class],
        group_column: str,
    ) -> ParquetSplit:
        """The rows that are `kept` (N,)."""
        groups = [group for table in self.tables for group in _group_names(table.file, group_column)]
        rows = self._rows()[kept]
        return ParquetSplit(self.name, self.tables, rows, labels[kept], names, classes, groups)

    def _rows(self) -> Int64s:
        return np.flatnonzero(self._inside())

    def _inside(self) -> npt.NDArray[np.bool_]:
        whole = (np.ones(sum(table.group_rows), bool) for table in self.tables)
        parts = [
            table.rows_by_split[self.name] if table.rows_by_split else all_rows
            for table, all_rows in zip(self.tables, whole, strict=True)
        ]
        return np.concatenate(parts)


def _group_names(file: TableFile, column: str) -> list[str]:
    """(N,) the text of each row's group; empty without a column, and for a row without one."""
    if not column:
        return []
    if column not in file.schema().names:
        names = ", ".join(file.schema().names)
        raise CommandError(f"--group-column {column}: {file.path} has no such column; there are {names}")
    try:
        values = plain(file.column(column)).to_pylist()
    except ValueError as error:
        raise DataError(f"{file.path}: column {column!r} holds {error}, which name no groups") from error
    texts = ("" if value is None else str(value).strip() for value in values)
    return ["" if text in MISSING else text for text in texts]


def _choose(folder: Path, paths: Sequence[str], wanted: str) -> tuple[dict[str, str], list[str]]:
    """The split of each file of the chosen configuration, by path; and strays.

    DataError, naming them, for several configurations of which none is chosen, or no such one.
    """
    places = {path: place_of(path) for path in paths}
    configurations = sorted({place.configuration for place in places.values()})
    listed = ", ".join(configurations)
    if wanted and wanted.lower() not in configurations:
        raise DataError(f"{folder}: no configuration {wanted!r}; choose from: {listed}")
    if not wanted and len(configurations) > 1:
        raise DataError(
            f"{folder}: the tables belong to several configurations ({listed}): choose one with "
            "--configuration NAME"
        )
    chosen = wanted.lower() or configurations[0]
    splits = {path: place.split for path, place in places.items() if place.configuration == chosen}
    files = Counter(place.configuration for place in places.values())
    strays = [
        f"configuration {each}: {counted(files[each], 'file')}" for each in configurations if each != chosen
    ]
    unnamed = [path for path, split in splits.items() if not split]
    # Beside `train`, a file that names no split is not one more part of it.
    taken = "train" in splits.values()
    for path in unnamed:
        splits[path] = Path(path).stem if taken else "train"
    return splits, strays


def _read_tables(folder: Path, splits: Mapping[str, str], options: SourceOptions) -> list[_Table]:
    known: Columns | None = None
    tables: list[_Table] = []
    for path, split in sorted(splits.items(), key=lambda item: (_rank(item[1]), item[0])):
        file = TableFile(folder / path, partition_of(path))
        group_rows = file.group_rows()  # before any column is read, which may be too large
        columns = find_columns(file, options, known)
        if known and known.label and columns.label and columns.label != known.label:
            raise DataError(
                f"{file.path}: labels are in column {columns.label!r}, in the files before in "
                f"{known.label!r}: rename one of them"
            )
        known = columns if known is None or not known.label else known
        labels = read_labels(file, columns, sum(group_rows))
        tables.append(_Table(file, split, columns, labels, group_rows, _rows_by_split(file, columns)))
    if options.label_column and not any(table.columns.label for table in tables):
        raise DataError(
            f"{folder}: no column {options.label_column!r}; there are "
            f"{', '.join(tables[0].file.schema().names)}"
        )
    if not any(table.columns.label for table in tables):
        raise DataError(
            f"{tables[0].file.path}: columns {', '.join(tables[0].file.schema().names)}; expected an image "
            "(bytes, path) and a label: choose its column with --label-column NAME"
        )
    return tables


def _rank(split: str) -> int:
    names = list(SPLIT_FOLDERS)
    return names.index(split) if split in names else len(names)


def _rows_by_split(file: TableFile, columns: Columns) -> dict[str, npt.NDArray[np.bool_]]:
    """Rows by the split that a column names; empty if there is none whose values are words for splits."""
    if not columns.split:
        return {}
    words = np.array([str(word).strip() for word in plain(file.column(columns.split)).to_pylist()])
    meant = {word: split_of_word(word) or word.lower() for word in np.unique(words).tolist()}
    if not any(split_of_word(word) for word in meant):
        return {}
    splits = np.array([meant[word] for word in words.tolist()])
    return {split: splits == split for split in np.unique(splits).tolist()}


def _parts(tables: Sequence[_Table], strays: list[str]) -> dict[str, _Part]:
    """The splits, `train` first; those that are not used are added to `strays`."""
    names = dict.fromkeys(name for table in tables for name in (table.rows_by_split or [table.split]))
    parts = {
        name: _Part(name, [t for t in tables if name in (t.rows_by_split or [t.split])])
        for name in sorted(names, key=lambda name: (_rank(name), name))
    }
    for name, part in parts.items():
        if name not in SPLIT_FOLDERS:
            count = sum(
                int(table.rows_by_split[name].sum()) if table.rows_by_split else sum(table.group_rows)
                for table in part.tables
            )
            strays.append(f"split {name!r}: {counted(count, 'photo')}")
    return parts


def _classes(
    order: list[str],
    from_metadata: bool,
    labels: Mapping[str, Labels],
    names: Sequence[str] | None,
    first: str,
    strays: list[str],
) -> tuple[list[Class], dict[str, Labels]]:
    """The classes and the labels; WNIDs are searched for in the photos' names, then in the classes' names.

    Names of the metadata that no photo has are left out, unless they are ILSVRC-2012's.
    """
    wnids = _wnids_in(names, labels[first], len(order)) if names else None
    if wnids:
        return classes_from_wnids(wnids), dict(labels)
    if from_metadata and _is_imagenet(order):
        return imagenet_classes(), dict(labels)
    kept, new = without_unused(order, labels)
    unused = [name for name in order if name not in set(kept)]
    if unused:
        listed = first_few(unused, _MAX_NAMED)
        strays.append(f"{counted(len(unused), 'class name')} without a photo: {listed}")
    return classes_from_wnids(kept), {name: new[values] for name, values in labels.items()}


def _wnids_in(names: Sequence[str], labels: Labels, count: int) -> list[str] | None:
    """Each label's WNID, if the names of all its photos have it; None unless the mapping is one to one."""
    wnids: dict[int, str] = {}
    for index, label in enumerate(labels.tolist()):
        found = wnid_in(names[index])
        if not found or wnids.setdefault(label, found) != found:
            return None
    one_to_one = len(wnids) == count == len(set(wnids.values()))
    return [wnids[label] for label in range(count)] if one_to_one else None


def _is_imagenet(class_names: Sequence[str]) -> bool:
    """Whether these are ILSVRC-2012's classes in WNID order; a few names may be disambiguated differently."""
    known = imagenet_classes()
    if len(class_names) != len(known):
        return False
    same = sum(
        each.name.startswith(name.partition(",")[0]) for each, name in zip(known, class_names, strict=True)
    )
    return same >= 0.95 * len(known)


def _beside(table: Path, path: str) -> bytes:
    """The photo that a row names instead of holding it; UnreadableImage if it is not below the table."""
    photo = (table.parent / path).resolve() if path else None
    if photo is None or not photo.is_relative_to(table.parent.resolve()) or not photo.is_file():
        raise UnreadableImage(f"no photo in the table{f', only its path {path}' if path else ''}")
    return read_file(photo)


def _columns(tables: Sequence[_Table]) -> str:
    return ", ".join(dict.fromkeys(name for table in tables for name in table.file.schema().names))
