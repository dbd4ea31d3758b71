"""A store: prepared images in Arrow IPC files ("shards") of at most 1,024 records, with a manifest.

A shard is written once and then memory-mapped. Its reader gets the addresses of Arrow's buffers once and
slices image bytes by numpy offsets, so that no object is created per record.
"""

from __future__ import annotations

import functools
import importlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alexnet.checksum import known_sha256
from alexnet.data import store_notes
from alexnet.data.classes import Class
from alexnet.data.config import DataConfig
from alexnet.data.manifest import Manifest, ShardEntry, read_manifest
from alexnet.data.sources.base import Box, existing_file
from alexnet.data.subset import stratified_order
from alexnet.errors import CommandError, DataError
from alexnet.hardware import memory_bytes
from alexnet.io import read_at
from alexnet.text import counted, sized

if TYPE_CHECKING:
    from PIL import Image
    from torch.utils.data import Dataset

TRAIN = "train"
RECORDS_PER_SHARD = 1024
"""Records in every shard except the last one of a split."""
RECORDS_PER_BATCH = 64
"""Records in an Arrow record batch, which is what `write_shard` keeps in memory."""

_OTHER_HASH = "its hash differs from the one in header.json"
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
class Record:
    """One image of a store with its label, name, size and boxes."""

    image: bytes | memoryview
    """JPEG file, or raw uint8 (height, width, channels) in C order: `Manifest.encoding`."""
    label: int
    """-1 for unlabeled images."""
    key: str
    """Unique in its split, and the same in every store of the same source."""
    width: int
    """Width of the original photo, in pixels."""
    height: int
    boxes: tuple[Box, ...] = ()
    """Boxes, in fractions of the stored image."""

    def __repr__(self) -> str:
        """`Record('cat/1.jpg': label 0, 640 x 480 pixels, stored in 3.4 kB, 2 boxes)`."""
        boxes = f", {counted(len(self.boxes), 'box')}" if self.boxes else ""
        stored = f"stored in {sized(len(self.image))}"
        return (
            f"Record({self.key!r}: label {self.label}, {self.width} x {self.height} pixels, {stored}{boxes})"
        )


class Store:
    """A prepared data set. `store[i]` and `len(store)` refer to its training split, or to its first split if
    there is none.
    """

    def __init__(self, path: Path, manifest: Manifest, mapped: bool) -> None:
        self.path = path
        self.manifest = manifest
        self._mapped = mapped
        self._splits = {name: Split(path, [name], manifest, mapped) for name in manifest.splits}

    @classmethod
    def open(cls, path: str | os.PathLike[str], verify: bool = False, mapped: bool | None = None) -> Store:
        """The store at `path`; DataError if it is missing, too new, incomplete or (with `verify`) altered.

        Without `verify`, files are checked by size now and by hash when their first image is read, or by
        `Split.verify`. `mapped`
        sets whether image bytes are read through memory maps; by default they are if the store fits into half
        of the machine's memory, or if that is unknown.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        shards = [shard for split in manifest.splits.values() for shard in split.shards]
        for shard in shards:
            _check(folder / shard.file, shard, verify)
        if found := mean_image_damage(folder, manifest):
            raise _damaged(folder / manifest.mean_image, found)
        memory = memory_bytes()
        fits = memory is None or sum(shard.bytes for shard in shards) <= memory // 2
        return cls(folder, manifest, fits if mapped is None else mapped)

    def __repr__(self) -> str:
        """`Store('stores/mine': 3 classes, train 48, val 21 images, 72 x 72 pixels, RGB)`."""
        counts = ", ".join(f"{name} {len(split):,}" for name, split in self._splits.items())
        classes = counted(len(self.classes), "class")
        return f"Store({str(self.path)!r}: {classes}, {counts} images, {self.manifest.form})"

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
        """3 for color images, 1 for gray ones."""
        return self.manifest.channels

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self._splits)

    @property
    def digest(self) -> str:
        """SHA-256 over the shards' hashes: equal for stores with the same contents."""
        return self.manifest.digest()

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """(channels,) mean of each channel over the training split, 0..255."""
        return np.array(self.manifest.channel_mean)

    @property
    def color_covariance(self) -> NDArray[np.float64]:
        """(channels, channels) covariance of the training split's pixels, in gray levels squared."""
        return np.array(self.manifest.color_covariance)

    def mean_image(self) -> NDArray[np.float32]:
        """(side, side, channels) mean of the training split, 0..255; of central squares of whole images."""
        path = self.path / self.manifest.mean_image
        if found := mean_image_damage(self.path, self.manifest):
            raise _damaged(path, found)
        return np.load(path, allow_pickle=False)

    def split(self, name: str) -> Split:
        """One split; CommandError, naming the existing ones, if there is no such split."""
        if name not in self._splits:
            raise CommandError(
                f"{self.path} has no split {name!r}, only {', '.join(self._splits)}: choose another, "
                "or prepare a store that has it (prepare's --val-fraction holds out some photos as `val`)"
            )
        return self._splits[name]

    def joined(self, names: Sequence[str]) -> Split:
        """The images of several splits as one, named `train+val`; CommandError as `split`."""
        for name in names:
            self.split(name)
        return Split(self.path, names, self.manifest, self._mapped)

    def torch_dataset(
        self, split: str = TRAIN, transform: Callable[[Image.Image], Any] | None = None
    ) -> Dataset[tuple[Any, int]]:
        """A split as a `torch.utils.data.Dataset` of pairs (image, label), for `torch.utils.data.DataLoader`.

        `transform` receives each image as a PIL image, as torchvision's transforms do; a `Preprocessing` is
        one, too. Without it, images are uint8 tensors (C, H, W). Labels are int, -1 for unlabeled images.
        CommandError if there is no such split::

            dataset = store.torch_dataset("train", predictor.preprocessing)
            for images, labels in torch.utils.data.DataLoader(dataset, batch_size=128, shuffle=True): ...
        """
        # By its name: the data set reads images, and what reads images imports this file.
        module: Any = importlib.import_module("alexnet.data.dataset")
        return module.TorchDataset(self.split(split), transform)

    def photo_files(self, split: str, keys: Sequence[str]) -> list[str]:
        """The files that photos of a split were prepared from, as `existing_file`.

        All are empty for stores of earlier versions.
        """
        folder = self.manifest.source.path
        known = store_notes.paths_of(self.path, split) if folder and keys else {}
        return [existing_file(folder, known.get(key)) for key in keys]

    def __len__(self) -> int:
        return len(self._default())

    def __getitem__(self, index: int) -> Record:
        return self._default()[index]

    def _default(self) -> Split:
        return self._splits.get(TRAIN) or next(iter(self._splits.values()))


class Split:
    """One split of a store, such as `train`, several together, or some of their images (`part`)."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        manifest: Manifest,
        mapped: bool,
        chosen: NDArray[np.int64] | None = None,
    ) -> None:
        """`chosen` are the indices in the whole split of the images of a part; None for all images."""
        self.name = "+".join(names)
        self._folder, self._names, self._chosen = folder, names, chosen
        self.manifest = manifest
        """The manifest of the whole store."""
        self.mapped = mapped
        """Whether `buffer` returns views of the mapped file or bytes read from it."""
        self._entries = [shard for name in names for shard in manifest.splits[name].shards]
        self._shards: list[Shard | None] = [None] * len(self._entries)
        self._verified = [False] * len(self._entries)
        self._first = list(accumulate((shard.count for shard in self._entries), initial=0))

    def __repr__(self) -> str:
        """`Split('train': 48 images of 3 classes, 72 x 72 pixels, RGB)`."""
        classes = counted(len(self.manifest.classes), "class")
        return f"Split({self.name!r}: {counted(len(self), 'image')} of {classes}, {self.manifest.form})"

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapped files, which another process opens itself."""
        state = {name: value for name, value in self.__dict__.items() if name != "labels"}
        return {**state, "_shards": [None] * len(self._shards)}

    def __len__(self) -> int:
        return self._first[-1] if self._chosen is None else len(self._chosen)

    def part(self, indices: NDArray[np.int64]) -> Split:
        """A split of the same name with the images at these indices, in this order."""
        chosen = indices if self._chosen is None else self._chosen[indices]
        return Split(self._folder, self._names, self.manifest, self.mapped, chosen)

    @functools.cached_property
    def labels(self) -> NDArray[np.int32]:
        """(len,) int32; -1 for unlabeled images."""
        parts = [self._shard(number).labels for number in range(len(self._shards))]
        labels = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return labels if self._chosen is None else labels[self._chosen]

    def keys(self) -> list[str]:
        """Names of all images, in order."""
        shards = (self._shard(number) for number in range(len(self._shards)))
        keys = list(chain.from_iterable(shard.keys() for shard in shards))
        return keys if self._chosen is None else [keys[index] for index in self._chosen]

    def origins(self) -> list[str]:
        """The split of the store that each image is in, in order."""
        names = [name for name in self._names for _ in range(self.manifest.splits[name].count)]
        return names if self._chosen is None else [names[index] for index in self._chosen]

    def key(self, index: int) -> str:
        """Name of the image: unique in its split, the same in every store of the same source.

        DataError as of `buffer`.
        """
        self._check(self._place(index)[0])
        shard, row = self._find(index)
        return shard.key(row)

    def buffer(self, index: int) -> memoryview:
        """The stored bytes of one image, a JPEG file or raw pixels; a view if the split is `mapped`.

        DataError if the file is not the one in the manifest: its hash is checked when its first image is
        read.
        """
        number, row = self._place(index)
        self._check(number)
        shard = self._shard(number)
        return shard.buffer(row) if self.mapped else shard.read(row)

    def verify(self) -> None:
        """Compares all shards with their hashes, once in each process; DataError if one differs.

        To be called where a result depends on labels, names, sizes or boxes of images that are not read:
        those are not compared when they are read.
        """
        for number in range(len(self._entries)):
            self._check(number)

    def _check(self, number: int) -> None:
        """Compares a shard with its hash, once."""
        if not self._verified[number]:
            _check_hash(self._path(number), self._entries[number].sha256)
            self._verified[number] = True

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the original photo, in pixels."""
        shard, row = self._find(index)
        return shard.size(row)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Boxes as (label, x0, y0, x1, y1), x and y in [0, 1] of the stored image; often none."""
        shard, row = self._find(index)
        return shard.boxes(row)

    def all_boxes(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """(len,) number of boxes of each image, and of all B boxes (B,) labels and (B, 4) x0, y0, x1, y1."""
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
        """The index of the image's shard, and its row there."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)} in split {self.name!r}")
        index %= len(self)
        if self._chosen is not None:
            index = int(self._chosen[index])
        number = bisect_right(self._first, index) - 1
        return number, index - self._first[number]

    def _path(self, number: int) -> Path:
        return self._folder / self._entries[number].file

    def _shard(self, number: int) -> Shard:
        shard = self._shards[number]
        if shard is None:
            shard = self._shards[number] = Shard(self._path(number))
            count = self._first[number + 1] - self._first[number]
            if len(shard.labels) != count:
                found = f"{len(shard.labels)} records, header.json says {count}"
                raise _damaged(self._path(number), found)
        return shard


class Shard:
    """A shard opened for reading: mapped, not read. DataError if the file is not what was written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # The mapping outlives the file descriptor: a thousand shards keep none open.
            with pa.memory_map(str(path)) as file:
                self._data = file.read_buffer()
            reader = pa.ipc.open_file(pa.BufferReader(self._data))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            if reader.schema != SCHEMA:
                raise pa.ArrowInvalid("its columns are not those of a store")
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged ({error}): delete its store and prepare it again") from None
        self._table = pa.Table.from_batches(batches, SCHEMA)
        self._bytes = memoryview(self._data).cast("B")
        self.labels: NDArray[np.int32] = self._table["label"].to_numpy()
        """(count,) int32"""
        spans = [_spans(batch.column(0), self._data.address) for batch in batches]
        self.starts: NDArray[np.int64] = _concatenate([start for start, _ in spans])
        """(count,) offset in the file at which each image begins."""
        self.ends: NDArray[np.int64] = _concatenate([end for _, end in spans])

    def buffer(self, row: int) -> memoryview:
        """Image bytes of one record, not copied."""
        return self._bytes[self.starts[row] : self.ends[row]]

    def read(self, row: int) -> memoryview:
        """Image bytes of one record, read from the file in one request.

        From a cold disk about five times faster than the page faults of the mapping.
        """
        start = int(self.starts[row])
        return memoryview(read_at(self.path, start, int(self.ends[row]) - start))

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

    def all_boxes(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """(count,) number of boxes of each record, and of all B boxes (B,) labels and (B, 4) corners."""
        lists = self._table["boxes"].combine_chunks()
        counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
        boxes = lists.flatten()
        corners = [boxes.field(name).to_numpy(zero_copy_only=False) for name in ("x0", "y0", "x1", "y1")]
        return counts, boxes.field("label").to_numpy(zero_copy_only=False), np.stack(corners, axis=-1)


def mean_image_damage(folder: Path, manifest: Manifest) -> str:
    """What is wrong with the file of the mean image; empty if it is the one that was written."""
    path, wanted = folder / manifest.mean_image, manifest.mean_image_sha256  # older stores have none
    if not path.is_file():
        return "it is missing"
    return _OTHER_HASH if wanted and known_sha256(path) != wanted else ""


def training_images(store: Store, data: DataConfig) -> Split:
    """The images a run trains on: `data.train_splits`, or `data.max_images` of them, balanced over classes.

    A smaller choice is a subset of every larger one. CommandError if a split is missing, or has fewer images.
    """
    split = store.joined(data.train_splits)
    if data.max_images == 0:
        return split
    if data.max_images > len(split):
        raise CommandError(
            f"data.max_images={data.max_images}, but {store.path} has {len(split)} training images: type "
            "fewer, or data.max_images=0 for all"
        )
    return split.part(np.sort(stratified_order(split.keys(), split.labels)[: data.max_images]))


def write_shard(path: Path, records: Iterable[Record]) -> int:
    """Writes the records to `path`, a record batch at a time, synced to disk; returns their number."""
    count, remaining = 0, iter(records)
    with path.open("wb") as file:
        with pa.ipc.new_file(file, SCHEMA) as writer:
            while batch := list(islice(remaining, RECORDS_PER_BATCH)):
                writer.write_batch(_record_batch(batch))
                count += len(batch)
        file.flush()
        os.fsync(file.fileno())
    return count


def _record_batch(records: list[Record]) -> Any:
    boxes = [[box._asdict() for box in record.boxes] for record in records]
    columns = [[getattr(record, name) for record in records] for name in SCHEMA.names[:-1]] + [boxes]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA)


def _spans(images: Any, base: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) begin and end of each value of a binary column, relative to the address `base`."""
    _, offsets_buffer, data = images.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[images.offset :][: len(images) + 1].astype(np.int64)
    offsets += data.address - base
    return offsets[:-1], offsets[1:]


def _concatenate(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _check(path: Path, shard: ShardEntry, verify: bool) -> None:
    if not path.is_file():
        raise _damaged(path, "it is missing")
    if path.stat().st_size != shard.bytes:
        raise _damaged(path, f"{path.stat().st_size} bytes, header.json says {shard.bytes}")
    if verify:
        _check_hash(path, shard.sha256)


def _check_hash(path: Path, wanted: str) -> None:
    if known_sha256(path) != wanted:
        raise _damaged(path, _OTHER_HASH)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is damaged ({found}): delete {path.parent} and run `alexnet prepare` again")
