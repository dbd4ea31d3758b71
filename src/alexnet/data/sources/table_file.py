"""Tables in files, and their columns: parquet, and Arrow's files (also called Feather) and streams.

Which columns hold photos and labels is found by choice, else by type and name, and refused if two fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alexnet.data.decode import is_photo
from alexnet.data.sources.base import SourceOptions
from alexnet.data.sources.tree import MAX_FILE_BYTES, MAX_LISTED
from alexnet.errors import DataError
from alexnet.json_reader import as_object, parse_json
from alexnet.text import encodable

_PARQUET_SUFFIXES = (".parquet", ".pq")
_MAX_CLASSES = 100_000
"""Of which the metadata of a table may have names."""
_ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
TABLE_SUFFIXES = _PARQUET_SUFFIXES + _ARROW_SUFFIXES
_ARROW_MAGIC = b"ARROW1"
_compute: Any = pc
"""Its functions are made when it is imported, so that no type checker knows them."""
_FAILURES = (pa.ArrowException, OSError)
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
class TableFile:
    """One file; nothing of it is kept open. DataError wherever it is damaged."""

    path: Path
    partition: tuple[tuple[str, str], ...] = ()
    """Columns whose one value is in the path: `label` and `cat` of `label=cat/0.parquet`."""

    def schema(self) -> Any:
        """The columns' names and types, with the metadata."""
        try:
            if self._is_parquet:
                return pq.read_schema(self.path)
            with self._arrow() as reader:
                return reader.schema
        except _FAILURES as error:
            raise self._damaged(error) from error

    def group_rows(self) -> list[int]:
        """The number of rows in each part that is read at once; DataError for more than `MAX_LISTED`."""
        try:
            rows = self._group_rows()
        except _FAILURES as error:
            raise self._damaged(error) from error
        _refuse_rows(sum(rows), str(self.path))
        return rows

    def _group_rows(self) -> list[int]:
        if self._is_parquet:
            metadata = pq.read_metadata(self.path)
            return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        with self._arrow() as reader:
            if isinstance(reader, pa.RecordBatchFileReader):
                return [reader.get_batch(group).num_rows for group in range(reader.num_record_batches)]
            return [reader.read_all().num_rows]

    def group(self, group: int, column: str) -> Any:
        """One column of a part, a chunked array."""
        try:
            if self._is_parquet:
                with pq.ParquetFile(self.path) as file:
                    return _validated(file.read_row_group(group, columns=[column]).column(column))
            with self._arrow() as reader:
                if isinstance(reader, pa.RecordBatchFileReader):
                    return _validated(pa.chunked_array([reader.get_batch(group).column(column)]))
                return _validated(reader.read_all().column(column))
        except _FAILURES as error:
            raise self._damaged(error) from error

    def column(self, column: str, field: str = "") -> Any:
        """One column of all rows, or one field of a column of structs, as a chunked array.

        Of parquet, no other field of the column is read.
        """
        try:
            if self._is_parquet:
                with pq.ParquetFile(self.path) as file:
                    found = file.read(columns=[f"{column}.{field}" if field else column]).column(column)
            else:
                with self._arrow() as reader:
                    found = reader.read_all().column(column)
            found = _validated(found)
            return _compute.struct_field(found, field) if field else found
        except _FAILURES as error:
            raise self._damaged(error) from error

    @property
    def _is_parquet(self) -> bool:
        return self.path.name.lower().endswith(_PARQUET_SUFFIXES)

    def _arrow(self) -> Any:
        """A reader of the mapped file: what it reads is not copied."""
        source = pa.memory_map(str(self.path))
        magic = source.read(len(_ARROW_MAGIC))
        source.seek(0)
        return (pa.ipc.open_file if magic == _ARROW_MAGIC else pa.ipc.open_stream)(source)

    def _damaged(self, error: Exception) -> DataError:
        kind = "parquet" if self._is_parquet else "Arrow"
        reason = str(error).partition("\n")[0]
        if isinstance(error, pa.ArrowNotImplementedError):
            return DataError(f"{self.path}: pyarrow cannot read its columns ({reason}): store other types")
        return DataError(f"{self.path} is not a complete {kind} file ({reason}): download it again")


def text_columns(data: bytes, file: str) -> dict[str, list[Any]]:
    """The columns of texts, numbers and booleans in a parquet or Arrow file, as plain values.

    DataError if it is damaged or too large, or if it has photos, which other files label.
    """
    try:
        if file.lower().endswith(_PARQUET_SUFFIXES):
            metadata = pq.read_metadata(pa.BufferReader(data))
            _refuse_rows(metadata.num_rows, file)
            sizes = (metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
            if sum(sizes) > MAX_FILE_BYTES:
                raise DataError(f"{file} has more than {MAX_FILE_BYTES:,} bytes when decompressed")
            table = pq.read_table(pa.BufferReader(data))
        else:
            opened = pa.ipc.open_file if data.startswith(_ARROW_MAGIC) else pa.ipc.open_stream
            table = _validated(opened(pa.BufferReader(data)).read_all())
        _refuse_rows(table.num_rows, file)
        if any(holds_photos(field.type) for field in table.schema):
            raise DataError(f"{file} has photos, so it is not a list of photos")
        names = [field.name for field in table.schema if not _is_list(field.type)]
        columns = {name: plain(table.column(name)) for name in names}
        return {name: values.to_pylist() for name, values in columns.items() if _is_plain(values.type)}
    except DataError:
        raise
    except (*_FAILURES, ValueError, KeyError) as error:
        raise DataError(f"{file} is not a complete table ({str(error).partition(chr(10))[0]})") from error


def _validated(table: Any) -> Any:
    """The table or column, if the offsets of all its values are valid; else ArrowInvalid.

    Arrow's readers do not compare the offsets in a file with its size: wrong ones lead out of the memory.
    """
    table.validate(full=True)
    return table


def _refuse_rows(count: int, file: str) -> None:
    if count > MAX_LISTED:
        raise DataError(f"{file} has {count:,} rows, more than {MAX_LISTED:,}")


def _is_plain(kind: Any) -> bool:
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return is_text(kind) or any(test(kind) for test in numbers)


def element_type(kind: Any) -> Any:
    """The type of the values: inside dictionaries, runs, lists and extension types."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) or _is_list(kind):
            kind = kind.value_type
        else:
            return kind


def _is_list(kind: Any) -> bool:
    """Whether each row holds a list, of whichever kind."""
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, *views)
    return any(test(kind) for test in tests)


def plain(array: Any) -> Any:
    """A chunked array of the values themselves: no dictionary, runs, views, extension type or list.

    ValueError if a list does not hold exactly one value.
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(_each_chunk(array, [chunk.storage for chunk in array.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return plain(_each_chunk(array, list(map(_decoded, array.chunks)), kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return plain(_each_chunk(array, list(map(_compute.run_end_decode, array.chunks)), kind.value_type))
    if _is_list(kind):
        lengths = _compute.list_value_length(array)
        if _compute.any(_compute.not_equal(lengths, 1)).as_py():
            raise ValueError(
                f"lists of {_compute.min(lengths).as_py()} to {_compute.max(lengths).as_py()} values"
            )
        return plain(_compute.list_element(array, 0))
    if pa.types.is_string_view(kind):
        return array.cast(pa.large_string())
    return array


def _decoded(array: Any) -> Any:
    """The values of one array with a dictionary."""
    values = plain(pa.chunked_array([array.dictionary])).combine_chunks()
    return values.take(array.indices)


def _each_chunk(array: Any, chunks: Sequence[Any], kind: Any) -> Any:
    return pa.chunked_array(chunks, kind if not chunks else chunks[0].type)


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
    split = next((f.name for f in schema if f.name.lower() in _SPLIT_NAMES and is_text(f.type)), "")
    return Columns(
        photo=photo,
        path_field=next((name for name in _PATH_FIELDS if direct and name in fields), ""),
        label=label,
        class_names=_class_names(file, features.get(label)) if label else (),
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
        metadata = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
        return as_object(metadata["info"]["features"] or {})
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


def _class_names(file: TableFile, feature: Any) -> tuple[str, ...]:
    """The names in label order; a name that occurs again gets its number, as it is another class.

    DataError for more than `_MAX_CLASSES`.
    """
    names = _inner(feature).get("names")
    if isinstance(names, list) and len(cast(list[Any], names)) > _MAX_CLASSES:
        count = len(cast(list[Any], names))
        raise DataError(f"{file.path}: {count:,} names of classes, more than {_MAX_CLASSES:,}")
    found: dict[str, None] = {}
    uses = Counter[str]()
    for name in (encodable(str(each)) for each in (names if isinstance(names, list) else ())):
        unique = name
        while unique in found:
            uses[name] += 1
            unique = f"{name} ({uses[name] + 1})"
        found[unique] = None
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
    typed = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or is_text(kind)
    lower = name.lower()
    named = lower.startswith("__") or lower in (*_NO_LABEL_NAMES, *_SPLIT_NAMES)
    return typed and not named and not lower.endswith(("_id", "_path", "_url"))


def is_text(kind: Any) -> bool:
    """Whether a column of this type holds texts."""
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
