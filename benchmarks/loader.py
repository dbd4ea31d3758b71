"""Speed of the loader compared with plain decoding (JPEG store) and plain copying (raw store) on the same
cores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg

from alexnet.data.loader import Batching, Loader
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Source
from alexnet.data.store import Split
from benchmarks.timing import Measurement, median_seconds

BATCH = 128
_ROUND_IMAGES = 2048

Work = Callable[[], None]


def measure(source: Source, side: int = 256) -> list[Measurement]:
    """Images per second from a JPEG and a raw store of the source's photos, made in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        jpeg = prepare(source, Path(folder) / "jpeg", PrepareSettings(side=side, encoding="jpeg"))
        raw = prepare(source, Path(folder) / "raw", PrepareSettings(side=side, encoding="raw"))
        name = jpeg.splits[0]
        return measure_jpeg(jpeg.split(name)) + measure_raw(raw.split(name))


def measure_jpeg(split: Split) -> list[Measurement]:
    """A JPEG split compared with a loop that only decodes the same files, with the same number of threads."""
    return _compare("jpeg store", split, _decoder, "bare decode loop", ">= 0.85")


def measure_raw(split: Split) -> list[Measurement]:
    """A raw split compared with a memcpy of as many bytes, with the same number of threads."""
    return _compare("raw store", split, _copier, "memcpy", ">= 0.5")


def _compare(
    name: str, split: Split, bare: Callable[[Split, int], Work], peer: str, target: str
) -> list[Measurement]:
    """Times both; each reads the split several times, for about 2,000 images per round."""
    loader = Loader(split, Batching(BATCH))
    work = bare(split, loader.workers)
    repeats = max(1, _ROUND_IMAGES // len(split))

    def load() -> None:
        for epoch in range(repeats):
            for _ in loader.batches(epoch):
                pass

    def work_repeatedly() -> None:
        for _ in range(repeats):
            work()

    seconds = median_seconds({"loader": load, peer: work_repeatedly})
    rate, limit = (len(split) * repeats / seconds[each] for each in ("loader", peer))
    return [
        Measurement("loader", name, rate, "images/s", peer, rate / limit, target),
        Measurement("loader", f"{name}: {peer}", limit, "images/s"),
    ]


def _decoder(split: Split, workers: int) -> Work:
    """Decodes every image into one reused square per thread."""
    side = split.manifest.side

    def decode(first: int) -> None:
        square = np.empty((side, side, 3), np.uint8)
        for index in range(first, len(split), workers):
            simplejpeg.decode_jpeg(np.frombuffer(split.buffer(index), np.uint8), buffer=square)

    return lambda: _in_threads(decode, workers)


def _copier(split: Split, workers: int) -> Work:
    """Copies as many bytes in blocks of a batch into one reused batch per thread."""
    batch_bytes = BATCH * split.manifest.side**2 * 3
    source = np.ones(len(split) * batch_bytes // BATCH, np.uint8)
    targets = np.empty((workers, batch_bytes), np.uint8)

    def copy(first: int) -> None:
        for start in range(first * batch_bytes, len(source), workers * batch_bytes):
            block = source[start : start + batch_bytes]
            np.copyto(targets[first, : len(block)], block)

    return lambda: _in_threads(copy, workers)


def _in_threads(work: Callable[[int], None], workers: int) -> None:
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(work, range(workers)))
