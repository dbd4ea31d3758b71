"""One shard of a store: an Arrow IPC file of at most 1,024 records, written once, then memory-mapped.

The reader asks Arrow once where its buffers lie and then addresses image bytes by numpy offsets; no object
is made per record.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alexnet.data.sources.contract import Box
from alexnet.errors import DataError

RECORDS = 1024
"""Records in every shard but a split's last."""
BATCH_RECORDS = 64
"""Records in an Arrow record batch: what is held in memory while a shard is written."""

_BOX = pa.struct([("label", pa.int32()), *((name, pa.float32()) for name in ("x0", "y0", "x1", "y1"))])
SCHEMA = pa.schema(
    [
        ("image", pa.binary()),
        ("label", pa.int32()),
        ("key", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("boxes", pa.list_(_BOX)),
    ]
)


@dataclass(frozen=True)
class Row:
    """One record to be written."""

    image: bytes
    label: int
    key: str
    width: int
    """Of the original photo, in pixels."""
    height: int
    boxes: tuple[Box, ...] = ()


def write_shard(path: Path, rows: Iterable[Row]) -> int:
    """Writes the rows to `path`, a record batch at a time, synced to disk; returns how many there were."""
    count, remaining = 0, iter(rows)
    with path.open("wb") as file:
        with pa.ipc.new_file(file, SCHEMA) as writer:
            while batch := list(islice(remaining, BATCH_RECORDS)):
                writer.write_batch(_record_batch(batch))
                count += len(batch)
        file.flush()
        os.fsync(file.fileno())
    return count


def _record_batch(rows: list[Row]) -> Any:
    boxes = [[box._asdict() for box in row.boxes] for row in rows]
    columns = [[getattr(row, name) for row in rows] for name in SCHEMA.names[:-1]] + [boxes]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


class Shard:
    """A shard opened for reading: mapped, not read. DataError if the file is not what was written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # The mapping outlives the file's descriptor: a thousand shards hold none open.
            with pa.memory_map(str(path)) as file:
                self._data = file.read_buffer()
            reader = pa.ipc.open_file(pa.BufferReader(self._data))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            if reader.schema != SCHEMA:
                raise pa.ArrowInvalid("other columns than a store's")
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged ({error}): delete its store and prepare it again") from None
        self._table = pa.Table.from_batches(batches, SCHEMA)
        self._bytes = memoryview(self._data).cast("B")
        self.labels = self._column("label")
        """(count,) int32"""
        spans = [_spans(batch.column(0), self._data.address) for batch in batches]
        self.starts: npt.NDArray[np.int64] = _joined([start for start, _ in spans])
        """(count,) where in the file each image begins."""
        self.ends: npt.NDArray[np.int64] = _joined([end for _, end in spans])

    def buffer(self, row: int) -> memoryview:
        """Image bytes of one record, not copied."""
        return self._bytes[self.starts[row] : self.ends[row]]

    def read(self, row: int) -> memoryview:
        """Image bytes of one record, read from the file in one request.

        From a cold disk about five times faster than the mapping's page faults.
        """
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            return memoryview(
                os.pread(descriptor, int(self.ends[row] - self.starts[row]), int(self.starts[row]))
            )
        finally:
            os.close(descriptor)

    def key(self, row: int) -> str:
        """Name of the image within its split."""
        return self._table["key"][row].as_py()

    def keys(self) -> list[str]:
        """Names of all images."""
        return self._table["key"].to_pylist()

    def size(self, row: int) -> tuple[int, int]:
        """Width and height of the original photo, in pixels."""
        return self._table["width"][row].as_py(), self._table["height"][row].as_py()

    def boxes(self, row: int) -> tuple[Box, ...]:
        """The boxes of one record."""
        return tuple(Box(**box) for box in self._table["boxes"][row].as_py())

    def all_boxes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Of all records: (count,) how many boxes, and of all boxes (B,) labels and (B, 4) x0, y0, x1, y1."""
        lists = self._table["boxes"].combine_chunks()
        counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
        boxes = lists.flatten()
        corners = [boxes.field(name).to_numpy(zero_copy_only=False) for name in ("x0", "y0", "x1", "y1")]
        return counts, boxes.field("label").to_numpy(zero_copy_only=False), np.stack(corners, axis=-1)

    def _column(self, name: str) -> npt.NDArray[np.int32]:
        return self._table[name].to_numpy()


def _spans(images: Any, base: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(n,) begin and end of each value of a binary column, counted from the address `base`."""
    _, offsets_buffer, data = images.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[images.offset :][: len(images) + 1].astype(np.int64)
    offsets += data.address - base
    return offsets[:-1], offsets[1:]


def _joined(parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
