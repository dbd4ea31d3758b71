"""Photos in memory as a source, small enough to be sent to worker processes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.data.classes import Class
from alexnet.data.sources import Example, Source


@dataclass
class MemorySplit:
    examples: list[Example]

    @property
    def labels(self) -> np.ndarray:
        return np.array([each.label for each in self.examples], np.int32)

    def __len__(self) -> int:
        return len(self.examples)

    def key(self, index: int) -> str:
        return self.examples[index].key

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


def photo(seed: int, width: int = 40, height: int = 30) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def examples(count: int, classes: int = 2, first_seed: int = 0) -> list[Example]:
    """Lossless photos of different sizes, by class."""
    made = []
    for number in range(count):
        pixels = photo(first_seed + number, 30 + number % 17, 45 - number % 13)
        made.append(Example(png(pixels), number * classes // count, f"class-{number}/photo-{number}.png"))
    return made


def source(**splits: Sequence[Example]) -> Source:
    labels = [example.label for split in splits.values() for example in split]
    classes = [Class(f"n{label:08}", f"class {label}") for label in range(max(labels) + 1)]
    return Source(
        "photos in memory",
        Path(),
        classes,
        {name: MemorySplit(list(split)) for name, split in splits.items()},
    )
