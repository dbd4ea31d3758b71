"""Speed of `prepare`, compared with a Pillow loop that does the same on one core, and with two workers."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.data.decode import Pixels, decode
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.prepare_shard import encode
from alexnet.data.prepare_workers import one_thread
from alexnet.data.resize import crop_offset, resized_size, to_square
from alexnet.data.sources import Source
from alexnet.data.sources.selection import Subset
from alexnet.data.store import RECORDS_PER_SHARD
from benchmarks.decode import first_photos
from benchmarks.timing import Measurement, median_seconds

SHARDS = 2
"""Number of shards for one and two workers; it divides evenly."""


def measure(source: Source, side: int = 256) -> list[Measurement]:
    """Images per second, each compared with its peer in the same run."""
    settings = PrepareSettings(side=side)
    return [*_one_core(source, settings), *_two_workers(source, settings)]


def _one_core(source: Source, settings: PrepareSettings) -> list[Measurement]:
    """Decoding, resizing, cropping and encoding; then all of `prepare`, compared with a loop that also sums
    the colors.
    """
    photos = first_photos(source)
    shard = _photos(source, RECORDS_PER_SHARD)

    def pixels() -> None:
        for photo in photos:
            encode(to_square(decode(photo), settings.side), settings)

    def pillow() -> None:
        for photo in photos:
            _pillow_jpeg(_pillow_square(photo, settings.side), settings.quality)

    def whole() -> None:
        with _folder() as folder:
            prepare(shard, folder, settings, workers=1)

    def pillow_whole() -> None:
        with _folder() as folder:
            _pillow_store(shard, folder, settings)

    with one_thread():
        loops = median_seconds({"ours": pixels, "Pillow": pillow})
        stores = median_seconds({"ours": whole, "Pillow": pillow_whole}, rounds=3, warm_up=0)
    ours, theirs = (len(photos) / loops[name] for name in ("ours", "Pillow"))
    our_store, their_store = (RECORDS_PER_SHARD / stores[name] for name in ("ours", "Pillow"))
    return [
        _row("decode, resize, encode", ours, "Pillow loop", theirs, ">= 1.7"),
        _row("all of prepare", our_store, "Pillow loop with statistics", their_store, ">= 1.7"),
        Measurement(
            "prepare", "mean difference to Pillow", _difference(photos, settings.side), "gray levels"
        ),
    ]


def _two_workers(source: Source, settings: PrepareSettings) -> list[Measurement]:
    many = _photos(source, SHARDS * RECORDS_PER_SHARD)
    one, two = (_rate_while_working(many, settings, workers) for workers in (1, 2))
    return [_row("two workers", two, "one worker", one, ">= 1.8")]


def _rate_while_working(source: Source, settings: PrepareSettings, workers: int) -> float:
    """Images per second after the first one: the start-up of the processes is not counted."""
    done: list[tuple[float, int]] = []

    def progress(count: int) -> None:
        if count:
            done.append((time.perf_counter(), count))

    with _folder() as folder:
        prepare(source, folder, settings, workers, progress=progress)
    return sum(count for _, count in done[1:]) / (done[-1][0] - done[0][0])


def _row(name: str, rate: float, peer: str, peer_rate: float, target: str) -> Measurement:
    return Measurement("prepare", name, rate, "images/s", peer, rate / peer_rate, target)


def _photos(source: Source, count: int) -> Source:
    """A source with this number of photos of the first split, repeated if there are fewer."""
    split = next(iter(source.splits.values()))
    some = Subset(split, np.arange(count) % len(split))
    labels = np.unique(some.labels)
    return replace(source, classes=source.classes[: labels[-1] + 1], splits={"train": some})


def _difference(photos: list[bytes], side: int) -> float:
    pairs = ((to_square(decode(photo), side), _pillow_square(photo, side)) for photo in photos)
    return float(np.mean([np.abs(ours.astype(int) - np.asarray(theirs)).mean() for ours, theirs in pairs]))


def _pillow_square(photo: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(photo)) as image:
        height, width = resized_size(image.height, image.width, side)
        whole = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    top, left = crop_offset(height, width, side)
    return whole.crop((left, top, left + side, top + side))


def _pillow_jpeg(square: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    square.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def _pillow_store(source: Source, folder: Path, settings: PrepareSettings) -> None:
    """Writes one file of JPEGs, and sums for mean image and covariance, in a simple way."""
    split = source.splits["train"]
    total, products = np.zeros((settings.side, settings.side, 3)), np.zeros((3, 3))
    folder.mkdir()
    with (folder / "images").open("wb") as file:
        for index in range(len(split)):
            square = _pillow_square(split[index].image, settings.side)
            file.write(_pillow_jpeg(square, settings.quality))
            pixels: Pixels = np.asarray(square)
            total += pixels
            colors = pixels.reshape(-1, 3).astype(np.float64)
            products += colors.T @ colors


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "store"
