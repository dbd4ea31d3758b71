"""Boxes beside the official tars: `ILSVRC2012_bbox_train_v2.tar.gz` and `ILSVRC2012_bbox_val_v3.tgz`.

Compressed tars cannot be read in any order, so these are read through once, when the source is opened (the
544,546 training files in a minute or two), and kept as arrays.
"""

from __future__ import annotations

import tarfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.annotations import SUFFIX, Annotation, labels_by_name, of_no_photo, parse
from alexnet.data.sources.contract import BoxesFound, checked_boxes
from alexnet.data.sources.listing import Int64s
from alexnet.data.sources.photos import PhotoSplit
from alexnet.errors import DataError

ARCHIVES = {"train": "ILSVRC{year}_bbox_train*", "val": "ILSVRC{year}_bbox_val*"}
"""How the archives of boxes are called; ILSVRC-2012's have a version behind."""


@dataclass(frozen=True)
class PackedBoxes:
    """Boxes of a split's photos, those of a photo after those of the photo before."""

    starts: Int64s
    """(N + 1,) where each photo's begin."""
    labels: npt.NDArray[np.int32]
    """(B,)"""
    corners: npt.NDArray[np.float32]
    """(B, 4) x0, y0, x1, y1 in pixels, both ends included."""
    sizes: npt.NDArray[np.int32]
    """(B, 2) width and height of the annotated photo; zeros where they are not told."""

    def __call__(self, index: int, path: str, label: int, image: bytes) -> BoxesFound:
        """The boxes of a photo's known classes."""
        rows = range(int(self.starts[index]), int(self.starts[index + 1]))
        found = [(int(self.labels[row]), self.corners[row].tolist()) for row in rows]
        try:
            told = [(int(width), int(height)) for width, height in self.sizes[rows.start : rows.stop]]
            return checked_boxes(found, told[0] if told and all(told[0]) else image_size(image))
        except UnreadableImage:
            return BoxesFound()


def find(folder: Path, split: str, year: int) -> Path | None:
    """The archive of a split's boxes beside the photos, if it is there."""
    pattern = ARCHIVES.get(split, "").format(year=year)
    archives = [path for path in folder.glob(pattern) if path.is_file()] if pattern else []
    return max(archives, default=None)


def with_boxes(split: PhotoSplit, archive: Path, classes: Sequence[Class]) -> tuple[PhotoSplit, list[str]]:
    """The split with the archive's boxes, and strays: annotations of photos that are not there.

    DataError where the archive or a file in it is broken.
    """
    places = {_stem(split.tree.listing.name(int(file))): index for index, file in enumerate(split.files)}
    labels = labels_by_name(classes)
    photos, numbers = array("q"), array("i")
    corners, sizes = array("f"), array("i")
    alone: list[str] = []
    for name, xml in _files(archive):
        photo = places.get(_stem(name))
        if photo is None:
            alone.append(f"{archive.name}: {name}")
            continue
        note = _parsed(archive, name, xml)
        for wnid, box in note.objects:
            if wnid in labels:
                photos.append(photo)
                numbers.append(labels[wnid])
                corners.extend(box)
                sizes.extend(note.size)
    packed = _packed(len(split), np.array(photos, np.int64), numbers, corners, sizes)
    return replace(split, boxes=packed), of_no_photo(alone)


def _packed(
    images: int, photos: Int64s, labels: array[int], corners: array[float], sizes: array[int]
) -> PackedBoxes:
    order = np.argsort(photos, kind="stable")
    return PackedBoxes(
        starts=np.searchsorted(photos[order], np.arange(images + 1)),
        labels=np.array(labels, np.int32)[order],
        corners=np.array(corners, np.float32).reshape(-1, 4)[order],
        sizes=np.array(sizes, np.int32).reshape(-1, 2)[order],
    )


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every XML file, in the archive's order."""
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name.lower().endswith(SUFFIX) else None
                if content is not None:
                    yield member.name, content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive} is not a whole archive ({error}): get it again") from error


def _parsed(archive: Path, name: str, xml: bytes) -> Annotation:
    try:
        return parse(xml)
    except ValueError as error:
        raise DataError(f"{archive}: broken boxes in {name}: {error}") from error


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
