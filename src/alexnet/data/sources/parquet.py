"""Hugging Face parquet files: an `image` of bytes and path, and a `label` named in the file's metadata.

Splits come from the names (`train-00000-of-00294.parquet`, `validation/0000.parquet`). Photos keep the
order of the rows; of the photos only the group of rows being read is in memory, one for each reading
thread.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.official_names import official_name
from alexnet.data.sources.contract import Example, Labels, Source, SourceSplit
from alexnet.data.sources.listing import PackedNames
from alexnet.data.sources.parquet_columns import (
    Columns,
    classes_from,
    find_columns,
    leaf,
    read_labels,
    to_labels,
)
from alexnet.data.sources.train_val import SPLIT_WORDS
from alexnet.data.sources.tree import FolderTree, Tree
from alexnet.errors import DataError

_WORD_TO_SPLIT = {word: split for split, words in SPLIT_WORDS.items() for word in words}


def read(tree: Tree, base: str) -> Source | None:
    """The source of all parquet files below `base`; None where there are none (a tar cannot hold them)."""
    listing = tree.listing
    paths = [listing.path(file) for file in listing.below(base) if listing.name(file).endswith(".parquet")]
    return read_files(tree.path, paths) if paths and isinstance(tree, FolderTree) else None


def read_files(folder: Path, paths: Sequence[str]) -> Source:
    """The source of some parquet files, given relative to their folder; all must have the same columns."""
    by_split: dict[str, list[Path]] = {}
    for path in sorted(paths):
        by_split.setdefault(_split_of(path), []).append(folder / path)
    columns = find_columns(next(iter(by_split.values()))[0])
    tables = {split: read_labels(files, columns) for split, files in by_split.items()}
    bare = [split for split, (values, _) in tables.items() if _bare(values)]
    told = [split for split in tables if split not in bare]
    if not told:
        raise DataError(f"{folder}: no photo in the parquet files has a label")
    classes = classes_from(columns, *tables["train" if "train" in told else told[0]])
    splits: dict[str, SourceSplit] = {}
    strays: list[str] = []
    for split in (split for split in SPLIT_WORDS if split in tables):
        values, names = tables[split]
        if split in told:
            labels = to_labels(values, classes, f"{folder}: {split}")
        elif split == "test" and names and official_name(names[0]):
            labels = values.astype(np.int32)
        else:
            strays.append(f"{split}: {len(values):,} photos without labels")
            continue
        splits[split] = ParquetSplit(split, by_split[split], columns, labels, names, classes)
    if "val" not in splits and "test" in told:
        splits["val"] = splits.pop("test")
    return Source("Hugging Face parquet", folder, classes, splits, strays)


class ParquetSplit:
    """The rows of some parquet files; each thread keeps the last group of rows it read."""

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
        self._wnids = [c.wnid for c in classes]
        groups = [
            (number, group, metadata.row_group(group).num_rows)
            for number, metadata in enumerate(pq.read_metadata(file) for file in files)
            for group in range(metadata.num_row_groups)
        ]
        self._groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        self._ends = np.cumsum(self._groups[:, 2])
        self._kept = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _kept=threading.local())

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, index: int) -> str:
        """`<wnid>/<file name>` if no two photos are named the same, else split and row: `train/00000042`.

        Without a label the file name alone.
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
                f"{self._file(group)}: the photo of row {row} of its group is elsewhere: no bytes"
            )
        return Example(image, int(self.labels[index]), self.key(index))

    def _file(self, group: int) -> Path:
        return self._files[int(self._groups[group, 0])]

    def _images(self, group: int) -> Any:
        """The encoded photos of one group of rows."""
        if getattr(self._kept, "group", None) != group:
            try:
                with pq.ParquetFile(self._file(group)) as file:
                    table = file.read_row_group(int(self._groups[group, 1]), columns=[self._columns.photo])
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{self._file(group)} is damaged ({error}): get it again") from error
            self._kept.group, self._kept.images = group, leaf(table, self._columns.photo)
        return self._kept.images


def _split_of(path: str) -> str:
    """`train` unless a part of the path says another split's word."""
    parts = re.split(r"[^a-z]+", path.lower())
    return next((_WORD_TO_SPLIT[part] for part in reversed(parts) if part in _WORD_TO_SPLIT), "train")


def _bare(values: npt.NDArray[Any]) -> bool:
    """Whether these are the labels of an unlabelled split: Hugging Face writes -1 for all."""
    return len(values) == 0 or (values.dtype.kind == "i" and bool((values == NO_LABEL).all()))
