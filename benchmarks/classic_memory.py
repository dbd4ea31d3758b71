"""`python -m benchmarks.classic_memory FOLDER IMAGES`: peak memory in MB while a small pipeline is fitted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet import recipes
from alexnet.config import override
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.runs.run_dir import RunDir
from alexnet.training.classic_trainer import train_pipeline
from alexnet.training.trainer import TrainOptions

SIDE, CLASSES = 64, 2
SETTINGS = (
    *(
        f"data.image_size={SIDE}",
        f"data.input_size={SIDE}",
        "schedule.epochs=2",
        "classic.sample_descriptors=5000",
    ),
    'classic.channels=[{"step": 8, "patches": [16, 24], "codebook_size": 16}]',
)
"""Settings that give vectors of 8,256 numbers: those of 4,096 photos would take 135 MB."""
SAMPLING_SECONDS = 0.005


def main(folder: Path, images: int) -> float:
    """Peak of this process's own memory, in MB, while a pipeline is fitted to this number of synthetic
    photos.
    """
    generator = np.random.default_rng(0)
    for split, count in (("train", images // CLASSES), ("val", 1)):
        for label in range(CLASSES):
            (folder / "photos" / split / str(label)).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 100 + 155 * label, (SIDE, SIDE, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / split / str(label) / f"{number}.png")
    settings = PrepareSettings(side=SIDE, encoding="raw")
    store = prepare(open_source(folder / "photos"), folder / "store", settings, workers=1)
    config = override(recipes.get("sift-fv"), SETTINGS)
    run = RunDir.create(folder / "run", config)
    options = TrainOptions(torch.device("cpu"))
    train = partial(train_pipeline, config, store, run, lambda model: {"top1_error": 0.0}, options)
    return peak_megabytes(train)


def peak_megabytes(work: Callable[[], object]) -> float:
    """Peak of this process's own memory, in MB, during `work`, by sampling.

    getrusage's `ru_maxrss` cannot be used, since a process inherits it from its parent; nor can the peak that
    Linux records, since it includes cached pages of the store's files.
    """
    most, done = [own_megabytes()], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLING_SECONDS):
            most[0] = max(most[0], own_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return most[0]


def own_megabytes() -> float:
    """Memory in MB without pages of files (`RssAnon` of Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]), int(sys.argv[2]))}\n")
