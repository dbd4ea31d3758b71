"""Labels of tables: from values of any type to classes, by name wherever the tables have names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alexnet.data.classes import NO_LABEL, in_label_order
from alexnet.data.sources.base import Labels
from alexnet.data.sources.table_file import Columns, TableFile, element_type, plain
from alexnet.errors import DataError
from alexnet.text import counted

Value = int | str | None
"""A label as stored; None if there is none."""
_LABEL_EXTENSIONS = ("arrow.bool8", "arrow.json")
"""Extension types whose stored values are labels; those of others (dates, identifiers) are not."""
_MISSING_WORDS = ("", "nan", "<na>")
"""What writers leave of a missing value in a column of strings, in lower case."""


@dataclass(frozen=True)
class RawLabels:
    """The labels of one file."""

    file: TableFile
    column: str
    values: list[Value]
    """The different ones."""
    codes: npt.NDArray[np.int64]
    """(N,) the position in `values` of each row's label; -1 where there is none."""
    class_names: tuple[str, ...]
    """In label order, from the metadata; empty if it has none."""

    def present(self) -> list[Value]:
        """The values that some row has."""
        return [self.values[code] for code in np.unique(self.codes[self.codes >= 0]).tolist()]


def read_labels(file: TableFile, columns: Columns, rows: int) -> RawLabels:
    """The labels of all rows, none if the file has no such column.

    DataError, naming the column, for values that are neither whole numbers nor names nor booleans, and for
    lists of several.
    """
    if not columns.label:
        return RawLabels(file, "", [], np.full(rows, NO_LABEL, np.int64), ())
    schema = file.schema()
    if columns.label not in schema.names:
        value = _value(dict(file.partition)[columns.label])
        return RawLabels(file, columns.label, [value], np.full(rows, 0 if value else -1, np.int64), ())
    array = file.column(columns.label)
    try:
        _check_type(array.type, schema.field(columns.label).metadata or {})
        encoded = plain(array).combine_chunks().dictionary_encode()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        values = [_value(each) for each in encoded.dictionary.to_pylist()]
    except ValueError as error:
        raise DataError(
            f"{file.path}: column {columns.label!r} holds {error}: labels are whole numbers, names or "
            "booleans; choose another column with --label-column NAME"
        ) from error
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    missing = [code for code, value in enumerate(values) if value is None]
    codes[np.isin(codes, missing)] = -1
    if columns.guessed and len(codes) > 1 and len(np.unique(codes)) == len(codes):
        raise DataError(
            f"{file.path}: column {columns.label!r} has a different value in each row, so it is not a "
            "label: choose "
            "the column of labels with --label-column NAME"
        )
    return RawLabels(file, columns.label, values, codes, columns.class_names)


def class_order(tables: Sequence[RawLabels]) -> tuple[list[str], bool]:
    """The names of all classes in label order, and whether they are those of the metadata.

    Metadata's names keep their order, that of the first table first. Numbers without names are sorted.
    """
    named: dict[str, None] = {}
    for table in tables:
        named |= dict.fromkeys(table.class_names)
    plain_values = {value for table in tables if not table.class_names for value in table.present()}
    if named:
        return list(named), True
    return in_label_order(str(value) for value in _labeled(plain_values)), False


def labels_of_table(table: RawLabels, order: Sequence[str], tables: Sequence[RawLabels]) -> Labels:
    """(N,) each row's position in the `order` of classes, `NO_LABEL` where it has none.

    DataError for a value that is none of the classes, or that counts classes whose names are in doubt.
    """
    label_of = {name: label for label, name in enumerate(order)}
    names = table.class_names or _shared_names(table, tables)
    all_values = {value for each in tables for value in each.present()}
    unlabeled = {NO_LABEL} if names else all_values - set(_labeled(all_values))
    found = np.full(len(table.values) + 1, NO_LABEL, np.int32)
    for code in np.unique(table.codes[table.codes >= 0]).tolist():
        value = table.values[code]
        if value not in unlabeled:
            name = _name(value, names)
            if name not in label_of:
                count = int((table.codes == code).sum())
                raise DataError(
                    f"{table.file.path}: {counted(count, 'photo')} with a label outside the "
                    f"{len(names or order):,} classes: column {table.column!r} holds {value!r}"
                )
            found[code] = label_of[name]
    return found[table.codes]


def _name(value: Value, names: Sequence[str]) -> str | None:
    if isinstance(value, int) and names:
        return names[value] if 0 <= value < len(names) else None
    return str(value)


def _shared_names(table: RawLabels, tables: Sequence[RawLabels]) -> tuple[str, ...]:
    """The names that numbers of a table without names stand for: those of all other tables, if they agree."""
    lists = list(dict.fromkeys(each.class_names for each in tables if each.class_names))
    if not lists or not any(isinstance(value, int) for value in table.present()):
        return ()
    if len(lists) > 1:
        raise DataError(
            f"{table.file.path}: column {table.column!r} holds numbers without names, and the names in the "
            "other files have different orders: add the names, or leave the file out"
        )
    return lists[0]


def _labeled(values: Iterable[Value]) -> list[Value]:
    """The values without the -1 of unlabeled photos; -1 and 1 alone are two classes."""
    found: list[Value] = [value for value in values if value is not None]
    return found if set(found) == {-1, 1} else [value for value in found if value != NO_LABEL]


def _check_type(kind: Any, metadata: Mapping[bytes, bytes]) -> None:
    """ValueError for a type whose values are no labels.

    Of an extension type that is not registered, only the metadata have the name.
    """
    element = element_type(kind)
    name = getattr(kind, "extension_name", metadata.get(b"ARROW:extension:name", b"").decode())
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_null,
    )
    if (name and name not in _LABEL_EXTENSIONS) or not any(test(element) for test in tests):
        raise ValueError(name or str(kind))


def _value(value: Any) -> Value:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value)
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return None
        if not math.isfinite(value) or value != int(value):
            raise ValueError(f"{value}, a fraction" if math.isfinite(value) else str(value))
        return int(value)
    if isinstance(value, str):
        return None if value.strip().lower() in _MISSING_WORDS else value.strip()
    return int(value)


def without_unused(order: list[str], used: Mapping[str, Labels]) -> tuple[list[str], Labels]:
    """The classes that some photo has, and (len(order) + 1,) the new label of each old one.

    The last entry is that of `NO_LABEL`.
    """
    seen = np.unique(np.concatenate([np.empty(0, np.int32), *used.values()]))
    seen = seen[seen >= 0]
    new = np.full(len(order) + 1, NO_LABEL, np.int32)
    new[seen] = np.arange(len(seen))
    return [order[label] for label in seen.tolist()], new
