"""Which columns of a table hold photos and labels: by choice, else by type and name, refused if two fit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from alexnet.data.decode import is_photo
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.table_file import TableFile, element_type
from alexnet.errors import DataError

PREFERRED_PHOTO, PREFERRED_LABEL = "image", "label"
"""The columns that are taken where several fit."""
_LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "class_name",
    "class_label",
    "category",
    "target",
    "fine_label",
    "y",
)
_NO_LABEL_NAMES = ("id", "index", "key", "name", "path", "file", "filename", "file_name", "url", "text")
_SPLIT_NAMES = ("split", "subset")
_PATH_FIELDS = ("path", "file_name", "filename")
_SNIFFED_ROWS = 8


@dataclass(frozen=True)
class Columns:
    """The columns of one file that matter."""

    photo: str
    path_field: str
    """The field of the photos' structs that names their files; empty if there is none."""
    label: str
    """Empty if the file has no labels."""
    class_names: tuple[str, ...]
    """In label order, from the metadata; empty if it has none."""
    split: str = ""
    """A column of names of splits; empty if there is none."""
    guessed: bool = False
    """Whether the label column was taken because no other was left."""


def find_columns(file: TableFile, options: SourceOptions, known: Columns | None) -> Columns:
    """The columns of one file; those of a file before, `known`, are preferred.

    DataError, naming the columns, if it has no photos, or if several columns fit and none is preferred.
    """
    schema = file.schema()
    features = _features(schema)
    photo = _photo_column(file, schema, features, options.image_column, known)
    label, guessed = _label_column(file, schema, features, options.label_column, photo, known)
    kind = element_type(schema.field(photo).type)
    fields = [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    direct = pa.types.is_struct(schema.field(photo).type)
    split = next((f.name for f in schema if f.name.lower() in _SPLIT_NAMES and _is_text(f.type)), "")
    return Columns(
        photo=photo,
        path_field=next((name for name in _PATH_FIELDS if direct and name in fields), ""),
        label=label,
        class_names=_class_names(features.get(label)) if label else (),
        split=split if split != label else "",
        guessed=guessed,
    )


def holds_photos(kind: Any) -> bool:
    """Whether a column of this type may hold encoded photos: bytes, or structs with a field `bytes`."""
    kind = element_type(kind)
    if pa.types.is_struct(kind):
        field = kind.get_field_index("bytes")
        return field >= 0 and holds_photos(kind.field(field).type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _features(schema: Any) -> Mapping[str, Any]:
    """Hugging Face's description of each column, from the metadata; empty for other tables."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return metadata["info"]["features"] or {}
    except (ValueError, KeyError, TypeError):
        return {}


def _inner(feature: Any) -> Mapping[str, Any]:
    """The description of the values, inside those of lists."""
    while True:
        if isinstance(feature, list) and feature:
            feature = feature[0]
        elif isinstance(feature, dict) and isinstance(feature.get("feature"), dict | list):
            feature = feature["feature"]
        else:
            return feature if isinstance(feature, dict) else {}


def _class_names(feature: Any) -> tuple[str, ...]:
    """The names in label order; a name that occurs again gets its number, as it is another class."""
    names = _inner(feature).get("names")
    found: dict[str, None] = {}
    for name in map(str, names if isinstance(names, list) else ()):
        again = (f"{name} ({number})" for number in itertools.count(2))
        found[name if name not in found else next(each for each in again if each not in found)] = None
    return tuple(found)


def _photo_column(
    file: TableFile, schema: Any, features: Mapping[str, Any], chosen: str, known: Columns | None
) -> str:
    fitting = [field.name for field in schema if holds_photos(field.type)]
    if chosen:
        if chosen not in fitting:
            raise DataError(f"{file.path}: {_no_such(schema, chosen)}; of photos are {_listed(fitting)}")
        return chosen
    if known and known.photo in fitting:
        return known.photo
    typed = [name for name in fitting if _inner(features.get(name)).get("_type") == "Image"]
    fitting = typed or fitting
    if len(fitting) > 1:
        fitting = [name for name in fitting if _are_photos(file, name)] or fitting
    if not fitting:
        raise DataError(
            f"{file.path}: columns {_listed(schema.names)}; expected an image (bytes, path) and a label"
        )
    return _the_one(file, fitting, PREFERRED_PHOTO, "photos", "--image-column")


def _label_column(
    file: TableFile,
    schema: Any,
    features: Mapping[str, Any],
    chosen: str,
    photo: str,
    known: Columns | None,
) -> tuple[str, bool]:
    """The column, or an empty string; and whether it was taken because no other was left."""
    kinds = {key: pa.string() for key, _ in file.partition} | {field.name: field.type for field in schema}
    others = [name for name in kinds if name != photo]
    if chosen:
        return (chosen if chosen in others else ""), False
    if known and known.label in others:
        return known.label, known.guessed
    fitting = [name for name in others if _inner(features.get(name)).get("_type") == "ClassLabel"]
    fitting += [name for name in others if name.lower() in _LABEL_NAMES and name not in fitting]
    if fitting:
        return _the_one(file, fitting, PREFERRED_LABEL, "labels", "--label-column"), False
    left = [name for name in others if _may_be_label(name, kinds[name])]
    return (left[0], True) if len(left) == 1 else ("", False)


def _the_one(file: TableFile, fitting: Sequence[str], preferred: str, what: str, option: str) -> str:
    if len(fitting) == 1:
        return fitting[0]
    exact = [name for name in fitting if name.lower() == preferred]
    if len(exact) == 1:
        return exact[0]
    raise DataError(
        f"{file.path}: columns {_listed(fitting)} may all be the {what}: choose one with {option} NAME"
    )


def _may_be_label(name: str, kind: Any) -> bool:
    kind = element_type(kind)
    typed = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)
    lower = name.lower()
    named = lower.startswith("__") or lower in (*_NO_LABEL_NAMES, *_SPLIT_NAMES)
    return typed and not named and not lower.endswith(("_id", "_path", "_url"))


def _is_text(kind: Any) -> bool:
    kind = element_type(kind)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _are_photos(file: TableFile, column: str) -> bool:
    """Whether the first value that is not null starts like a photo."""
    for group, rows in enumerate(file.group_rows()):
        for value in file.group(group, column)[: min(rows, _SNIFFED_ROWS)]:
            data, _ = unwrap(value.as_py())
            if data is not None:
                return is_photo(data)
    return False


def unwrap(value: Any) -> tuple[bytes | None, str]:
    """The bytes and the path in one value of a column of photos; ValueError for a list of several."""
    path = ""
    while True:
        if isinstance(value, list):
            if len(value) > 1:
                raise ValueError(f"{len(value)} photos in one row")
            value = value[0] if value else None
        elif isinstance(value, dict):
            path = next((value[name] for name in _PATH_FIELDS if value.get(name)), "")
            value = value.get("bytes")
        else:
            return value, path


def _no_such(schema: Any, name: str) -> str:
    if name not in schema.names:
        return f"no column {name!r}"
    return f"column {name!r} holds {schema.field(name).type}, not photos"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
