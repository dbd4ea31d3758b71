"""`python -m alexnet.benchmarks.classic_memory FOLDER IMAGES`: peak MB of fitting a small pipeline."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet import recipes
from alexnet.config import override
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources import open_source
from alexnet.runs.folder import RunFolder
from alexnet.training.classic import fit

SIDE, CLASSES = 64, 2
SETTINGS = (
    *(f"data.side={SIDE}", f"data.crop={SIDE}", "schedule.epochs=2", "classic.sample_descriptors=5000"),
    'classic.channels=[{"step": 8, "patches": [16, 24], "words": 64}]',
)
"""Vectors of 33,024 numbers: 1,024 photos' would take 135 MB."""


def main(folder: Path, images: int) -> float:
    """MB that the process has had in memory at most, after fitting to made-up photos."""
    generator = np.random.default_rng(0)
    for split, count in (("train", images // CLASSES), ("val", 1)):
        for label in range(CLASSES):
            (folder / "photos" / split / str(label)).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 100 + 155 * label, (SIDE, SIDE, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / split / str(label) / f"{number}.png")
    settings = Settings(side=SIDE, encoding="raw")
    store = prepare(open_source(folder / "photos"), folder / "store", settings, workers=1)
    config = override(recipes.get("sift-fv"), SETTINGS)
    run = RunFolder.create(folder / "run", config)
    fit(config, store, run, evaluate=lambda model: {"top1_error": 0.0}, device=torch.device("cpu"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]), int(sys.argv[2]))}\n")
