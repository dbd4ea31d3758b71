"""Hugging Face parquet: `train-*.parquet`, `validation-*.parquet` with columns of images and labels."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from alexnet.data.classes import NO_LABEL, Class, classes_from_wnids, imagenet_classes
from alexnet.data.sources.base import Example, Labels, Source, SourceSplit
from alexnet.data.sources.devkit import official_name
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.train_val import SPLIT_FOLDERS
from alexnet.data.sources.tree import FolderTree, PackedNames, Tree
from alexnet.errors import DataError

_SPLIT_OF_WORD = {word: split for split, words in SPLIT_FOLDERS.items() for word in words}
_LABEL_NAMES = ("label", "labels", "class", "fine_label", "category")
_WNID = re.compile(r"(?:^|_)(n\d{8})(?=[_.]|$)")


def read(tree: Tree, base: str, options: SourceOptions) -> Source | None:
    """The source of all parquet files below `base`; None if there are none (a tar cannot hold them)."""
    listing = tree.listing
    paths = [listing.path(file) for file in listing.below(base) if listing.name(file).endswith(".parquet")]
    return read_files(tree.path, paths, options) if paths and isinstance(tree, FolderTree) else None


def read_files(folder: Path, paths: Sequence[str], options: SourceOptions) -> Source:
    """The source of parquet files given relative to their folder; all must have the same columns."""
    by_split: dict[str, list[Path]] = {}
    for path in sorted(paths):
        by_split.setdefault(_split_of(path), []).append(folder / path)
    columns = _find_columns(next(iter(by_split.values()))[0], options)
    tables = {split: _read_labels(files, columns) for split, files in by_split.items()}
    labeled = [split for split, (values, _) in tables.items() if not _is_unlabeled(values)]
    if not labeled:
        raise DataError(f"{folder}: no photo in the parquet files has a label")
    classes = _classes(columns, *tables["train" if "train" in labeled else labeled[0]])
    splits: dict[str, SourceSplit] = {}
    strays: list[str] = []
    for split in (split for split in SPLIT_FOLDERS if split in tables):
        values, names = tables[split]
        if split in labeled:
            labels = _to_labels(values, classes, f"{folder}: {split}")
        elif split == "test" and names and official_name(names[0]):
            labels = values.astype(np.int32)
        else:
            strays.append(f"{split}: {len(values):,} photos without labels")
            continue
        splits[split] = ParquetSplit(split, by_split[split], columns, labels, names, classes)
    if "val" not in splits and "test" in labeled:
        splits["val"] = splits.pop("test")
    return Source("Hugging Face parquet", folder, classes, splits, strays)


@dataclass(frozen=True)
class Columns:
    """Column paths as parquet writes them: `image.bytes` is a field of the column `image`."""

    photo: str
    name: str | None
    label: str
    class_names: tuple[str, ...] | None
    """In label order, from the metadata."""


class ParquetSplit:
    """The rows of some parquet files; each thread keeps the last row group it read."""

    def __init__(
        self,
        split: str,
        files: Sequence[Path],
        columns: Columns,
        labels: Labels,
        names: PackedNames | None,
        classes: Sequence[Class],
    ) -> None:
        self.labels = labels
        self._split, self._files, self._columns, self._names = split, list(files), columns, names
        self._wnids = [each.wnid for each in classes]
        groups = [
            (number, group, metadata.row_group(group).num_rows)
            for number, metadata in enumerate(pq.read_metadata(file) for file in files)
            for group in range(metadata.num_row_groups)
        ]
        self._groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        self._ends = np.cumsum(self._groups[:, 2])
        self._cached = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_cached"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _cached=threading.local())

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, index: int) -> str:
        """`<wnid>/<file name>` if file names are unique, else split and row: `train/00000042`.

        The file name alone for unlabeled photos.
        """
        if self._names is None:
            return f"{self._split}/{index:08d}"
        label = int(self.labels[index])
        return self._names[index] if label == NO_LABEL else f"{self._wnids[label]}/{self._names[index]}"

    def __getitem__(self, index: int) -> Example:
        group = int(np.searchsorted(self._ends, index, side="right"))
        row = index - int(self._ends[group] - self._groups[group, 2])
        image = self._images(group)[row].as_py()
        if image is None:
            raise DataError(
                f"{self._file(group)}: the photo of row {row} of its group is not embedded: no bytes"
            )
        return Example(image, int(self.labels[index]), self.key(index))

    def _file(self, group: int) -> Path:
        return self._files[int(self._groups[group, 0])]

    def _images(self, group: int) -> Any:
        """The encoded photos of one row group."""
        if getattr(self._cached, "group", None) != group:
            try:
                with pq.ParquetFile(self._file(group)) as file:
                    table = file.read_row_group(int(self._groups[group, 1]), columns=[self._columns.photo])
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{self._file(group)} is damaged ({error}): download it again") from error
            self._cached.group, self._cached.images = group, _column(table, self._columns.photo)
        return self._cached.images


def _split_of(path: str) -> str:
    """The split named by the last part of the path that names one; else `train`."""
    parts = re.split(r"[^a-z]+", path.lower())
    return next((_SPLIT_OF_WORD[part] for part in reversed(parts) if part in _SPLIT_OF_WORD), "train")


def _find_columns(file: Path, options: SourceOptions) -> Columns:
    """The columns of one file; DataError if it has no photos or no labels."""
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a complete parquet file ({error}): download it again") from error
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = metadata.get("info", {}).get("features", {})
    chosen = options.image_column
    photo = next((f for f in schema if _holds_photos(f.type) and chosen in (f.name, "")), None)
    typed = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    wanted = [options.label_column] if options.label_column else [*typed, *_LABEL_NAMES]
    label = next((name for name in wanted if name in schema.names), None)
    if photo is None or label is None:
        raise DataError(
            f"{file}: columns {', '.join(schema.names)}; expected an image (bytes, path) and a label"
        )
    class_names = features.get(label, {}).get("names")
    if not pa.types.is_struct(photo.type):
        return Columns(photo.name, None, label, tuple(class_names) if class_names else None)
    has_name = photo.type.get_field_index("path") >= 0
    name = f"{photo.name}.path" if has_name else None
    return Columns(f"{photo.name}.bytes", name, label, tuple(class_names) if class_names else None)


def _holds_photos(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _read_labels(files: Sequence[Path], columns: Columns) -> tuple[npt.NDArray[Any], PackedNames | None]:
    """The labels as stored (-1 where missing), and the photos' names if they are unique."""
    wanted = [columns.label, *([columns.name] if columns.name else [])]
    try:
        table = pa.concat_tables([_read(file, wanted) for file in files])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{files[0].parent}: parquet files are damaged or differ in columns: {error}"
        ) from error
    labels = _column(table, columns.label)
    values = labels.fill_null(-1 if pa.types.is_integer(labels.type) else "").to_numpy()
    names = _column(table, columns.name) if columns.name else None
    if names is None or names.null_count or len(names.unique()) < len(names):
        return values, None
    return values, PackedNames(name.as_py() for name in names)


def _read(file: Path, wanted: list[str]) -> Any:
    with pq.ParquetFile(file) as opened:
        # Metadata may differ between files (it holds sizes); columns may not.
        return opened.read(columns=wanted).replace_schema_metadata(None)


def _column(table: Any, path: str) -> Any:
    """One column, or one field of a column, of a pyarrow table: a chunked array."""
    return table.flatten().column(path)


def _is_unlabeled(values: npt.NDArray[Any]) -> bool:
    """Whether these are the labels of an unlabeled split, for which Hugging Face writes -1."""
    return len(values) == 0 or (values.dtype.kind == "i" and bool((values == NO_LABEL).all()))


def _classes(columns: Columns, values: npt.NDArray[Any], names: PackedNames | None) -> list[Class]:
    """The classes in label order; WNIDs are searched for in the photos' names, then in the classes' names."""
    if values.dtype.kind not in "iu":
        return classes_from_wnids(sorted({str(value) for value in values}))
    count = len(columns.class_names or ()) or int(values.max()) + 1
    wnids = _wnids_in(names, values, count) if names else None
    if wnids:
        return classes_from_wnids(wnids)
    class_names = columns.class_names or tuple(str(label) for label in range(count))
    return imagenet_classes() if _is_imagenet(class_names) else classes_from_wnids(class_names)


def _wnids_in(names: PackedNames, values: npt.NDArray[Any], count: int) -> list[str] | None:
    """Each label's WNID, if the names of all its photos have it; None unless the mapping is one to one."""
    wnids: dict[int, str] = {}
    for index, label in enumerate(values.tolist()):
        match = _WNID.search(names[index])
        if match is None or wnids.setdefault(label, match.group(1)) != match.group(1):
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


def _to_labels(values: npt.NDArray[Any], classes: Sequence[Class], where: str) -> Labels:
    """(N,) int32 labels; DataError if some photos have none, or one outside the classes."""
    if values.dtype.kind not in "iu":
        label_of = {each.wnid: label for label, each in enumerate(classes)}
        values = np.array([label_of.get(str(value), -1) for value in values], dtype=np.int64)
    outside = (values < 0) | (values >= len(classes))
    if outside.any():
        raise DataError(
            f"{where}: {int(outside.sum()):,} photos have a label outside its {len(classes):,} classes"
        )
    return values.astype(np.int32)
