"""A store in two: the first half of its classes to learn from, the second to be asked about."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.data.pixels import read_square
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources.contract import Example, Labels, Source
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError
from alexnet.files import only_we

SPLITS = ("train", "val")
LEAST_CLASSES = 4
"""Two to learn from, two to be asked about."""


def halves(store: Store, folder: Path) -> tuple[Store, Store]:
    """Stores of the first and of the second half of a store's classes, made in `folder` or found there.

    They hold the very same pixels, raw. CommandError where there are fewer than four classes.
    """
    count = len(store.classes)
    if count < LEAST_CLASSES:
        raise CommandError(
            f"{store.path} has {count} classes, and features travel from some to others: it takes "
            f"{LEAST_CLASSES} at least, or a store of other classes, --other-store"
        )
    middle = count // 2
    folder.mkdir(parents=True, exist_ok=True)
    with only_we(folder, wait=True):
        first = _prepared(store, range(middle), folder / "first-half")
        return first, _prepared(store, range(middle, count), folder / "second-half")


def _prepared(store: Store, labels: range, path: Path) -> Store:
    splits = {name: _Part(store.path, name, labels.start, labels.stop) for name in SPLITS}
    classes, header = store.classes[labels.start : labels.stop], store.header
    source = Source("classes of a store", store.path, classes, dict(splits))
    return prepare(source, path, Settings(header.side, encoding="raw", channels=header.channels))


@dataclass(frozen=True)
class _Part:
    """The photos of some labels in a row, as files that lose nothing."""

    store: Path
    name: str
    first: int
    end: int

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def labels(self) -> Labels:
        return (self._whole.labels[self._chosen] - self.first).astype(np.int32)

    def key(self, index: int) -> str:
        return self._whole.key(int(self._chosen[index]))

    def __getitem__(self, index: int) -> Example:
        side, channels = self._whole.header.side, self._whole.header.channels
        pixels = np.empty((side, side, channels), np.uint8)
        read_square(self._whole, int(self._chosen[index]), pixels)
        file = io.BytesIO()
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(file, "PNG")
        return Example(file.getvalue(), int(self.labels[index]), self.key(index))

    @property
    def _whole(self) -> Split:
        return _split(self.store, self.name)

    @property
    def _chosen(self) -> npt.NDArray[np.int64]:
        labels = self._whole.labels
        return np.flatnonzero((labels >= self.first) & (labels < self.end))


@functools.cache
def _split(store: Path, name: str) -> Split:
    """Opened once in each process."""
    return Store.open(store).split(name)
