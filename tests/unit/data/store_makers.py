"""Writes small stores directly, record by record, without `prepare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.data.classes import Class
from alexnet.data.manifest import VERSION, Manifest, ShardEntry, SourceEntry, SplitEntry, write_manifest
from alexnet.data.store import Record, write_shard
from alexnet.io import file_sha256

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def row(number: int, side: int = 2, **fields: object) -> Record:
    """A raw record whose pixels are all `number`."""
    values = {
        "image": bytes([number % 256]) * (3 * side * side),
        "label": number % 3,
        "key": f"photo-{number}",
    }
    return Record(**{**values, "width": 100 + number, "height": 50, **fields})


def make_store(
    folder: Path, splits: dict[str, Sequence[Record]], side: int = 2, shard_records: int = 4
) -> Path:
    """A raw store with `shard_records` records per shard."""
    folder.mkdir()
    entries = {name: _split(folder, name, rows, shard_records) for name, rows in splits.items()}
    np.save(folder / "mean_image.npy", np.full((side, side, 3), 7, np.float32))
    write_manifest(folder, _manifest(side, entries, file_sha256(folder / "mean_image.npy")))
    return folder


def change_a_byte(shard: Path, within: bytes) -> None:
    """Changes the first of these bytes where they first occur in a shard."""
    contents = bytearray(shard.read_bytes())
    contents[contents.index(within)] ^= 1
    shard.write_bytes(contents)


def _split(folder: Path, name: str, rows: Sequence[Record], shard_records: int) -> SplitEntry:
    shards = []
    for number, first in enumerate(range(0, len(rows), shard_records)):
        path = folder / f"{name}-{number:05}.arrow"
        count = write_shard(path, rows[first : first + shard_records])
        shards.append(ShardEntry(path.name, count, path.stat().st_size, file_sha256(path)))
    return SplitEntry(len(rows), tuple(shards))


def _manifest(side: int, splits: dict[str, SplitEntry], mean_image_sha256: str) -> Manifest:
    return Manifest(
        version=VERSION,
        side=side,
        shape="square",
        resize="crop",
        encoding="raw",
        quality=0,
        subsampling="",
        resampling="none",
        exif=False,
        source=SourceEntry("made by a test"),
        splits=splits,
        classes=tuple(Class(f"n{number:08}", f"class {number}") for number in range(3)),
        statistics_split="train",
        channel_mean=(1.0, 2.0, 3.0),
        mean_image="mean_image.npy",
        color_covariance=IDENTITY,
        color_eigenvalues=(1.0, 1.0, 1.0),
        color_eigenvectors=IDENTITY,
        odd={},
        unreadable=(),
        mean_image_sha256=mean_image_sha256,
    )
