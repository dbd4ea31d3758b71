"""Which columns of a Hugging Face parquet file hold photo, name and label, and which class a label is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from alexnet.data.classes import Class, classes_of, imagenet_classes
from alexnet.data.sources.contract import Labels
from alexnet.data.sources.listing import PackedNames
from alexnet.errors import DataError

_LABEL_NAMES = ("label", "labels", "class", "fine_label", "category")
_WNID = re.compile(r"(?:^|_)(n\d{8})(?=[_.]|$)")


@dataclass(frozen=True)
class Columns:
    """Paths of columns as parquet writes them: `image.bytes` is a field of the column `image`."""

    photo: str
    name: str | None
    label: str
    class_names: tuple[str, ...] | None
    """In label order, from the metadata."""


def find_columns(file: Path) -> Columns:
    """The columns of one file; DataError where it has no photos or no labels."""
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a whole parquet file ({error}): get it again") from error
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = metadata.get("info", {}).get("features", {})
    photo = next((field for field in schema if _holds_photos(field.type)), None)
    typed = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    label = next((name for name in (*typed, *_LABEL_NAMES) if name in schema.names), None)
    if photo is None or label is None:
        raise DataError(
            f"{file}: columns {', '.join(schema.names)}; wanted an image (bytes, path) and a label"
        )
    class_names = features.get(label, {}).get("names")
    if not pa.types.is_struct(photo.type):
        return Columns(photo.name, None, label, tuple(class_names) if class_names else None)
    has_name = photo.type.get_field_index("path") >= 0
    name = f"{photo.name}.path" if has_name else None
    return Columns(f"{photo.name}.bytes", name, label, tuple(class_names) if class_names else None)


def leaf(table: Any, path: str) -> Any:
    """One column, or one field of a column, of a pyarrow table: a chunked array."""
    return table.flatten().column(path)


def read_labels(files: Sequence[Path], columns: Columns) -> tuple[npt.NDArray[Any], PackedNames | None]:
    """The labels as they stand there (-1 where empty), and the photos' names if no two are the same."""
    wanted = [columns.label, *([columns.name] if columns.name else [])]
    try:
        table = pa.concat_tables([_read(file, wanted) for file in files])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{files[0].parent}: parquet files are damaged or differ in columns: {error}"
        ) from error
    labels = leaf(table, columns.label)
    values = labels.fill_null(-1 if pa.types.is_integer(labels.type) else "").to_numpy()
    names = leaf(table, columns.name) if columns.name else None
    if names is None or names.null_count or len(names.unique()) < len(names):
        return values, None
    return values, PackedNames(name.as_py() for name in names)


def classes_from(columns: Columns, values: npt.NDArray[Any], names: PackedNames | None) -> list[Class]:
    """The classes in label order; WNIDs are looked for in the photos' names, then in the classes' names."""
    if values.dtype.kind not in "iu":
        return classes_of(sorted({str(value) for value in values}))
    count = len(columns.class_names or ()) or int(values.max()) + 1
    found = _wnids_in(names, values, count) if names else None
    if found:
        return classes_of(found)
    called = columns.class_names or tuple(str(label) for label in range(count))
    return imagenet_classes() if _is_imagenet(called) else classes_of(called)


def to_labels(values: npt.NDArray[Any], classes: Sequence[Class], where: str) -> Labels:
    """(N,) int32 labels; DataError where some photos have none or one outside the classes."""
    if values.dtype.kind not in "iu":
        numbers = {c.wnid: label for label, c in enumerate(classes)}
        values = np.array([numbers.get(str(value), -1) for value in values], dtype=np.int64)
    outside = (values < 0) | (values >= len(classes))
    if outside.any():
        raise DataError(
            f"{where}: {int(outside.sum()):,} photos have a label outside its {len(classes):,} classes"
        )
    return values.astype(np.int32)


def _holds_photos(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _read(file: Path, wanted: list[str]) -> Any:
    with pq.ParquetFile(file) as opened:
        # The metadata may differ between files (their sizes); the columns may not.
        return opened.read(columns=wanted).replace_schema_metadata(None)


def _wnids_in(names: PackedNames, values: npt.NDArray[Any], count: int) -> list[str] | None:
    """Each label's WNID, if all its photos carry it in their names; None unless that is one to one."""
    wnids: dict[int, str] = {}
    for index, label in enumerate(values.tolist()):
        match = _WNID.search(names[index])
        if match is None or wnids.setdefault(label, match.group(1)) != match.group(1):
            return None
    one_to_one = len(wnids) == count == len(set(wnids.values()))
    return [wnids[label] for label in range(count)] if one_to_one else None


def _is_imagenet(called: Sequence[str]) -> bool:
    """Whether these are ILSVRC-2012's classes in WNID order; a few names may be told apart in other ways."""
    known = imagenet_classes()
    if len(called) != len(known):
        return False
    same = sum(c.name.startswith(name.partition(",")[0]) for c, name in zip(known, called, strict=True))
    return same >= 0.95 * len(known)
