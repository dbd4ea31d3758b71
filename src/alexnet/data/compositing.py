"""Composes scenes for detection: objects cut from a store's photos on one canvas, with their boxes.

A photo with one box shows one large object in the middle. A scene shows a few, of several classes and sizes,
that do not overlap, on a blurred photo as the background. It is a function of the store and of (seed, split,
number).
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import Class
from alexnet.data.decode import Pixels
from alexnet.data.image_reader import read_square
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import Box, Example, Labels, Source
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError

MAX_OBJECTS = 4
SIZES = (0.25, 0.5)
"""Smallest and largest longer side of an object's box, as a fraction of the canvas's side."""
MARGIN = 0.15
"""Width of the surroundings that are copied with an object and fade out, as a fraction of its box's width or
height."""
MIN_BOX_PIXELS = 12
"""Minimum shorter side of the stored boxes that are used: smaller objects cannot be recognized."""
_BACKGROUND_PIXELS = 5
"""Side to which a photo is shrunk before it becomes a background."""
_TRIES = 50


def compose(store: Store, counts: Mapping[str, int], side: int, seed: int = 0) -> Source:
    """A source of `counts[split]` scenes of `side` pixels, made from the photos of each split of a store.

    CommandError if a split has no boxes, or no large enough box of some class.
    """
    splits = {name: SceneSplit(store.path, name, count, side, seed) for name, count in counts.items()}
    for name, split in splits.items():
        if split.count < len(store.classes):
            raise CommandError(
                f"{split.count} scenes of split {name!r} cannot show {len(store.classes)} classes: type "
                f"{len(store.classes)} or more"
            )
        split.check()
    return Source(
        "composed scenes", store.path, store.classes, dict(splits), settings=PrepareSettings(side=side)
    )


@dataclass(frozen=True)
class SceneSplit:
    """Scenes made from the photos of one split; the largest object of scene n is of class n modulo K."""

    store: Path
    name: str
    count: int
    side: int
    seed: int

    def __len__(self) -> int:
        return self.count

    @property
    def labels(self) -> Labels:
        """(N,) the label of each scene's largest object."""
        return (np.arange(self.count) % len(self._objects.classes)).astype(np.int32)

    def key(self, index: int) -> str:
        """`<wnid>/scene-000001.png`."""
        classes = self._objects.classes
        return f"{classes[index % len(classes)].wnid}/scene-{index:06}.png"

    def check(self) -> None:
        """CommandError if scenes cannot be made from the store."""
        self._objects.check()

    def __getitem__(self, index: int) -> Example:
        label = index % len(self._objects.classes)
        random = np.random.default_rng((self.seed, zlib.crc32(self.name.encode()), index))
        scene = Scene(self._objects.background(random, self.side))
        sizes = np.sort(random.uniform(*SIZES, random.integers(1, MAX_OBJECTS + 1)))[::-1]
        for number, size in enumerate(sizes.tolist()):
            scene.add(random, *self._objects.cutout(random, label if number == 0 else None), size)
        return Example(scene.png(), label, self.key(index), tuple(scene.boxes))

    @property
    def _objects(self) -> ObjectCutouts:
        return _objects(self.store, self.name)


@dataclass
class Scene:
    """A canvas and the objects on it."""

    canvas: NDArray[np.float64]
    """(side, side, 3) gray levels."""
    boxes: list[Box] = field(default_factory=list[Box])
    _taken: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])

    def add(
        self,
        random: np.random.Generator,
        label: int,
        cutout: Pixels,
        inside: NDArray[np.float64],
        size: float,
    ) -> None:
        """Pastes an object where it overlaps no other; drops it if no such place is found in a few tries.

        `inside` is its box in fractions of the cutout; its longer side becomes `size` times the canvas's.
        """
        side, (height, width) = len(self.canvas), cutout.shape[:2]
        scale = size * side / max((inside[2] - inside[0]) * width, (inside[3] - inside[1]) * height)
        wide, high = (min(side, max(1, round(scale * length))) for length in (width, height))
        for _ in range(_TRIES):
            x, y = (int(random.integers(0, side - length + 1)) for length in (wide, high))
            window = (x, y, x + wide, y + high)
            if not self._taken or not box_geometry.iou([window], self._taken).any():
                break
        else:
            return
        resized = np.asarray(
            Image.fromarray(cutout).resize((wide, high), Image.Resampling.BICUBIC), np.float64
        )
        weight = _fading(wide, high, inside)[..., None]
        part = self.canvas[y : y + high, x : x + wide]
        part += weight * (resized - part)
        self._taken.append(window)
        corners = box_geometry.from_window(inside, np.array(window) / side)
        self.boxes.append(Box(label, *corners.tolist()))

    def png(self) -> bytes:
        """The canvas as a PNG file."""
        file = io.BytesIO()
        Image.fromarray(self.canvas.round().astype(np.uint8)).save(file, "PNG")
        return file.getvalue()


class ObjectCutouts:
    """The objects in a split whose boxes are large enough."""

    def __init__(self, split: Split) -> None:
        self._split = split
        table = BoxTable.of(split)
        sides = (table.corners[:, 2:] - table.corners[:, :2]) * split.manifest.side
        large = sides.min(axis=1) >= MIN_BOX_PIXELS
        images = np.repeat(np.arange(len(split)), np.diff(table.starts))
        self._images, self._labels, self._corners = images[large], table.labels[large], table.corners[large]

    @property
    def classes(self) -> tuple[Class, ...]:
        """The store's classes, in label order."""
        return self._split.manifest.classes

    def check(self) -> None:
        """CommandError if a class has no large enough box, or the store is gray."""
        if self._split.manifest.channels != 3:
            raise CommandError("scenes need a color store: prepare one with --channels 3")
        missing = sorted(set(range(len(self.classes))) - set(self._labels.tolist()))
        if missing:
            raise CommandError(
                f"{len(missing)} classes have no box of {MIN_BOX_PIXELS} pixels or more in split "
                f"{self._split.name!r}, such as {self.classes[missing[0]].wnid}: remove them "
                "(prepare --classes), or prepare with a larger --side"
            )

    def cutout(
        self, random: np.random.Generator, label: int | None
    ) -> tuple[int, Pixels, NDArray[np.float64]]:
        """A random object of a class (None: any): label, pixels (h, w, 3), and box in fractions of them."""
        rows = np.flatnonzero(self._labels == label) if label is not None else np.arange(len(self._labels))
        row = int(random.choice(rows))
        box = self._corners[row].astype(np.float64)
        margin = MARGIN * np.tile(box[2:] - box[:2], 2) * (-1, -1, 1, 1)
        photo = self._photo(int(self._images[row]))
        edges = np.rint(box_geometry.clip(box + margin) * len(photo)).astype(int)
        x0, y0, x1, y1 = edges.tolist()
        inside = box_geometry.clip(box_geometry.to_window(box, edges / len(photo)))
        return int(self._labels[row]), np.ascontiguousarray(photo[y0:y1, x0:x1]), inside

    def background(self, random: np.random.Generator, side: int) -> NDArray[np.float64]:
        """(side, side, 3): a random photo, blurred until nothing can be recognized."""
        photo = Image.fromarray(self._photo(int(random.integers(len(self._split)))))
        small = photo.resize(2 * [_BACKGROUND_PIXELS], Image.Resampling.BOX)
        return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float64).copy()

    def _photo(self, index: int) -> Pixels:
        side = self._split.manifest.side
        photo = np.empty((side, side, 3), np.uint8)
        read_square(self._split, index, photo)
        return photo


@functools.cache
def _objects(store: Path, split: str) -> ObjectCutouts:
    """The objects of a split, opened once in each process."""
    return ObjectCutouts(Store.open(store).split(split))


def _fading(wide: int, high: int, inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """(high, wide) 1 inside the box, falling to 0 at those edges of the cutout where it has a margin."""
    x0, y0, x1, y1 = inside
    across, down = _ramp(wide, x0, x1), _ramp(high, y0, y1)
    return np.minimum(across[None], down[:, None])


def _ramp(length: int, first: float, last: float) -> NDArray[np.float64]:
    """(length,) 1 between two fractions of the length, falling to 0 at those ends that are beyond them."""
    ends = [float(first <= 0), 1.0, 1.0, float(last >= 1)]
    return np.interp((np.arange(length) + 0.5) / length, [0, first, last, 1], ends)
