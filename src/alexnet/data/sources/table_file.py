"""Tables in files: parquet, and Arrow's own two forms (files, also called Feather, and streams)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alexnet.errors import DataError

PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
SUFFIXES = PARQUET_SUFFIXES + ARROW_SUFFIXES
_ARROW_MAGIC = b"ARROW1"
_compute: Any = pc
"""Its functions are made when it is imported, so that no type checker knows them."""
_FAILURES = (pa.ArrowException, OSError)


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
        """The number of rows in each part that is read at once."""
        try:
            if self._is_parquet:
                metadata = pq.read_metadata(self.path)
                return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            with self._arrow() as reader:
                if isinstance(reader, pa.RecordBatchFileReader):
                    return [reader.get_batch(group).num_rows for group in range(reader.num_record_batches)]
                return [reader.read_all().num_rows]
        except _FAILURES as error:
            raise self._damaged(error) from error

    def group(self, group: int, column: str) -> Any:
        """One column of a part, a chunked array."""
        try:
            if self._is_parquet:
                with pq.ParquetFile(self.path) as file:
                    return file.read_row_group(group, columns=[column]).column(column)
            with self._arrow() as reader:
                if isinstance(reader, pa.RecordBatchFileReader):
                    return pa.chunked_array([reader.get_batch(group).column(column)])
                return reader.read_all().column(column)
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
            return _compute.struct_field(found, field) if field else found
        except _FAILURES as error:
            raise self._damaged(error) from error

    @property
    def _is_parquet(self) -> bool:
        return self.path.name.lower().endswith(PARQUET_SUFFIXES)

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


def element_type(kind: Any) -> Any:
    """The type of the values: inside dictionaries, runs, lists and extension types."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) or is_list(kind):
            kind = kind.value_type
        else:
            return kind


def is_list(kind: Any) -> bool:
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
    if is_list(kind):
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
