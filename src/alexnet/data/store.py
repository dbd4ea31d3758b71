"""One shard of a store: an Arrow IPC file of at most 1,024 records, written once, then memory-mapped.

The reader asks Arrow once where its buffers lie and then addresses image bytes by numpy offsets; no object
is made per record.
"""

from __future__ import annotations

import functools
import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.typing import NDArray

from alexnet.data.classes import Class
from alexnet.data.config import DataConfig
from alexnet.data.manifest import Manifest, ShardEntry, read_manifest
from alexnet.data.sources.base import Box
from alexnet.errors import CommandError, DataError
from alexnet.io import file_sha256

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


@dataclass(frozen=True)
class Record:
    """One stored image and what is known of it."""

    image: memoryview
    """JPEG file, or raw uint8 (height, width, channels) in C order: the manifest's `encoding`."""
    label: int
    key: str
    width: int
    """Of the original photo, in pixels."""
    height: int
    boxes: tuple[Box, ...]


class Split:
    """One split of a store, such as `train`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        manifest: Manifest,
        mapped: bool,
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """`chosen` are the images it has, of those of the store, where these are not all."""
        self.name = name
        self._folder, self._chosen = folder, chosen
        self.manifest = manifest
        """Of the whole store."""
        entry = manifest.splits[name]
        self.mapped = mapped
        """Whether `buffer` gives views of the mapped file, or bytes read from it."""
        self._paths = [folder / shard.file for shard in entry.shards]
        self._shards: list[Shard | None] = [None] * len(entry.shards)
        self._verified = [False] * len(entry.shards)
        self._first = list(accumulate((shard.count for shard in entry.shards), initial=0))

    def __len__(self) -> int:
        return self._first[-1] if self._chosen is None else len(self._chosen)

    def part(self, indices: npt.NDArray[np.int64]) -> Split:
        """The images at these places alone, in this order: a split of the same name."""
        chosen = indices if self._chosen is None else self._chosen[indices]
        return Split(self._folder, self.name, self.manifest, self.mapped, chosen)

    @functools.cached_property
    def labels(self) -> npt.NDArray[np.int32]:
        """(len,) int32, one per image; -1 where its class is not known."""
        parts = [self._shard(number).labels for number in range(len(self._shards))]
        labels = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return labels if self._chosen is None else labels[self._chosen]

    def keys(self) -> list[str]:
        """Names of all images, in order."""
        shards = (self._shard(number) for number in range(len(self._shards)))
        keys = list(chain.from_iterable(shard.keys() for shard in shards))
        return keys if self._chosen is None else [keys[index] for index in self._chosen]

    def key(self, index: int) -> str:
        """Name of the image: unique in its split, the same for every store of the same source."""
        shard, row = self._find(index)
        return shard.key(row)

    def buffer(self, index: int) -> memoryview:
        """The stored bytes of one image, a JPEG file or raw pixels; a view where the split is `mapped`.

        DataError where its file is not the one the manifest names: the first image read compares the hash.
        """
        number, row = self._place(index)
        if not self._verified[number]:
            _check_hash(self._paths[number], self.manifest.splits[self.name].shards[number].sha256)
            self._verified[number] = True
        shard = self._shard(number)
        return shard.buffer(row) if self.mapped else shard.read(row)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the original photo, in pixels."""
        shard, row = self._find(index)
        return shard.size(row)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Boxes as (label, x0, y0, x1, y1), x and y in [0, 1] of the stored picture; mostly none."""
        shard, row = self._find(index)
        return shard.boxes(row)

    def all_boxes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """(len,) how many boxes each image has, and of all boxes (B,) labels and (B, 4) x0, y0, x1, y1."""
        parts = [self._shard(number).all_boxes() for number in range(len(self._shards))]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, 4), np.float32)
        counts, labels, corners = (np.concatenate(each) for each in zip(*parts, strict=True))
        if self._chosen is None:
            return counts, labels, corners
        starts, counts = np.cumsum(counts) - counts, counts[self._chosen]
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(starts[self._chosen], counts) + steps
        return counts, labels[rows], corners[rows]

    def __getitem__(self, index: int) -> Record:
        shard, row = self._find(index)
        return Record(
            self.buffer(index), int(shard.labels[row]), shard.key(row), *shard.size(row), shard.boxes(row)
        )

    def _find(self, index: int) -> tuple[Shard, int]:
        number, row = self._place(index)
        return self._shard(number), row

    def _place(self, index: int) -> tuple[int, int]:
        """The number of the image's shard, and its row there."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)} in split {self.name!r}")
        index %= len(self)
        if self._chosen is not None:
            index = int(self._chosen[index])
        number = bisect_right(self._first, index) - 1
        return number, index - self._first[number]

    def _shard(self, number: int) -> Shard:
        shard = self._shards[number]
        if shard is None:
            shard = self._shards[number] = Shard(self._paths[number])
            wanted = self._first[number + 1] - self._first[number]
            if len(shard.labels) != wanted:
                raise _damaged(
                    self._paths[number], f"{len(shard.labels)} records, the manifest says {wanted}"
                )
        return shard


class Store:
    """A prepared data set; `store[i]` and `len(store)` are of the training split, or the first there is."""

    def __init__(self, path: Path, manifest: Manifest, mapped: bool) -> None:
        self.path = path
        self.manifest = manifest
        self._splits = {name: Split(path, name, manifest, mapped) for name in manifest.splits}

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: bool = False, mapped: bool | None = None) -> Store:
        """The store at `path`; DataError if it is missing, too new, incomplete or (with `verify`) altered.

        Without `verify` files are compared by size, and by hash when the first of their images is read.
        `mapped` forces how image bytes are read; by default they are mapped if the store fits into half of
        the machine's memory.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        shards = [shard for split in manifest.splits.values() for shard in split.shards]
        for shard in shards:
            _check(folder / shard.file, shard, verify)
        if not (folder / manifest.mean_image).is_file():
            raise _damaged(folder / manifest.mean_image, "it is missing")
        fits = sum(shard.bytes for shard in shards) <= _memory_bytes() // 2
        return cls(folder, manifest, fits if mapped is None else mapped)

    @property
    def classes(self) -> list[Class]:
        """In label order."""
        return list(self.manifest.classes)

    @property
    def side(self) -> int:
        """Pixels of the stored square's side, or of the shorter side where images are whole."""
        return self.manifest.side

    @property
    def channels(self) -> int:
        """3 where images are in color, 1 where they are gray."""
        return self.manifest.channels

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self._splits)

    @property
    def digest(self) -> str:
        """SHA-256 over the shards' hashes: equal for stores of equal contents."""
        return self.manifest.digest()

    @property
    def channel_mean(self) -> npt.NDArray[np.float64]:
        """(channels,) mean of each channel over the training split, 0..255."""
        return np.array(self.manifest.channel_mean)

    @property
    def color_covariance(self) -> npt.NDArray[np.float64]:
        """(channels, channels) covariance of the training split's pixels, gray levels squared."""
        return np.array(self.manifest.color_covariance)

    def mean_image(self) -> npt.NDArray[np.float32]:
        """(side, side, channels) mean of the training split, 0..255; of central squares of whole images."""
        path = self.path / self.manifest.mean_image
        if self.manifest.mean_image_sha256:  # older stores have none
            _check_hash(path, self.manifest.mean_image_sha256)
        return np.load(path, allow_pickle=False)

    def split(self, name: str) -> Split:
        """One split; CommandError names those there are."""
        if name not in self._splits:
            raise CommandError(
                f"{self.path} has no split {name!r}, only {', '.join(self._splits)}: name another, or make a "
                "store that has it (prepare's --val-fraction holds some photos out as `val`)"
            )
        return self._splits[name]

    def __len__(self) -> int:
        return len(self._default())

    def __getitem__(self, index: int) -> Record:
        return self._default()[index]

    def _default(self) -> Split:
        return self._splits.get("train") or next(iter(self._splits.values()))


def _check(path: Path, shard: ShardEntry, verify: bool) -> None:
    if not path.is_file():
        raise _damaged(path, "it is missing")
    if path.stat().st_size != shard.bytes:
        raise _damaged(path, f"{path.stat().st_size} bytes, the manifest says {shard.bytes}")
    if verify:
        _check_hash(path, shard.sha256)


def _check_hash(path: Path, wanted: str) -> None:
    if file_sha256(path) != wanted:
        raise _damaged(path, "its hash is not the manifest's")


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is damaged ({found}): delete {path.parent} and run `alexnet prepare` again")


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


TRAIN = "train"


def training_images(store: Store, data: DataConfig) -> Split:
    """The images a run trains on: the training split, or `data.max_images` of it.

    CommandError where it has not as many.
    """
    split = store.split(TRAIN)
    if data.max_images == 0:
        return split
    if data.max_images > len(split):
        raise CommandError(
            f"data.max_images={data.max_images} are wanted, {store.path} has {len(split)} training images: "
            "type fewer, or data.max_images=0 for all"
        )
    return split.part(np.sort(balanced(split)[: data.max_images]))


def balanced(split: Split) -> NDArray[np.int64]:
    """(len(split),) all images in an order of which every beginning is balanced over classes.

    First one image of each class in label order, then a second one of each, and so on while a class has some.
    Within a class by the SHA-256 of their keys: no seed, the same on every machine and in every store of the
    same photos.
    """
    digests = b"".join(hashlib.sha256(key.encode()).digest()[:8] for key in split.keys())  # noqa: SIM118
    labels = split.labels
    by_class = np.lexsort((np.frombuffer(digests, dtype=">u8"), labels))
    ordered = labels[by_class]
    rank_in_class = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return by_class[np.lexsort((ordered, rank_in_class))]
