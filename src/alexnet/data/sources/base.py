"""The contract of every raw form: a `Source` of splits of `Example`s, encoded images with labels.

Sources only read. They pickle small enough to be sent to worker processes: arrays and packed names instead of
open files and lists of paths, since ImageNet has 1.28 million photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class
from alexnet.data.findings import DroppedPhoto
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.split_names import SplitName, split_of
from alexnet.errors import CommandError

Labels = npt.NDArray[np.int32]
"""(N,) class labels of photos; `NO_LABEL` (-1) for unlabeled ones."""
LabelNumbers = Literal["names", "from-0", "from-1"]
"""What numbers in a label file are: names of classes, or positions in their order, counted from 0 or 1."""


INNERMOST = -1
"""In place of a depth of class folders: the folders that directly hold photos, at whatever depth."""


class Box(NamedTuple):
    """A bounding box of one object; corners as fractions of the width and height in [0, 1], y downwards."""

    label: int
    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def from_corners(
        cls, label: int, corners: Sequence[float], size: tuple[float, float], last: int = 1
    ) -> Box:
        """From (x0, y0, x1, y1) and (width, height) in the same unit.

        `last` is 1 for pixels of which the last ones are included, as ImageNet counts, and 0 for edges.
        """
        x0, y0, x1, y1 = corners
        width, height = size
        fractions = (x0 / width, y0 / height, (x1 + last) / width, (y1 + last) / height)
        return cls(label, *(min(max(fraction, 0.0), 1.0) for fraction in fractions))


@dataclass(frozen=True)
class Example:
    """One photo as it was found."""

    image: bytes
    """The encoded file, unchanged."""
    label: int
    """`NO_LABEL` (-1) where the class is unknown."""
    key: str
    """Unique within its split: `<wnid>/<file name>` wherever photos are files, whatever the layout; the file
    name alone for unlabeled photos."""
    boxes: tuple[Box, ...] = ()
    """On the photo as it is stored, before any EXIF orientation."""
    odd: tuple[str, ...] = ()
    """What is unusual about the photo's boxes; see `CheckedBoxes.odd`."""


class SourceSplit(Protocol):
    """The photos of `train`, `val` or `test`; safe to index from several threads."""

    @property
    def labels(self) -> Labels:
        """(N,) the label of every photo, known without reading any."""
        ...

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """The example's key, without reading the photo."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Photo 0 <= index < N; DataError if the source was changed or cut short since it was opened."""
        ...


class LeftOut(NamedTuple):
    """Files that are not in any split, though they look as if they could be."""

    what: str
    """A folder or file with the number of photos: `extra/ (40 photos)`."""
    reason: str


@dataclass(frozen=True)
class SplitOrigin:
    """Where the photos of a split and their labels were found."""

    folder: str = ""
    """Relative to the source; empty for the source itself."""
    lists: tuple[str, ...] = ()
    """The files that list its photos; empty where the folder decides."""
    labels: Literal["folders", "file", "columns", "names", "devkit", "records", "none"] = "records"
    """What labels them: folder names, a text file, columns of tables, photo names, ILSVRC's devkit, the form
    itself, nothing."""
    class_level: int = 0
    """With `folders`: the depth of the class folders below the folder of the split, from 1, or
    `INNERMOST`."""
    files: tuple[str, ...] = ()
    """With `file`: the files with the labels."""
    image_column: str = ""
    """With `columns` and `file`: the name of the photos' column, or its number from 1; empty for labels in
    the photos' order."""
    label_column: str = ""
    """The same for the labels."""
    other_columns: tuple[str, ...] = ()
    """With `file`: its columns that are neither, nor the split."""
    values: str = ""
    """With `file`: what the labels are: class names, WNIDs, positions from 0 or 1, or class numbers."""
    class_list: str = ""
    """With class numbers: the file that names the classes."""
    published_as: str = ""
    """The split that the source calls it: `test` for the only photos besides those for training."""
    held_out: float = 0.0
    """Fraction of each training class that was held out for it; 0 for a split of the source."""


@runtime_checkable
class Stamped(Protocol):
    """A split (or its boxes) that knows without reading a photo whether it may have changed."""

    def stamp(self, index: int) -> str | None:
        """Sizes and times of the photo's files; None if unknown. Equal stamps mean equal contents."""
        ...


def stamp_of(photos: object, index: int) -> str | None:
    """The stamp of a photo; None if the split has none, so that its contents must be compared."""
    return photos.stamp(index) if isinstance(photos, Stamped) else None


@runtime_checkable
class Located(Protocol):
    """A split that knows the files of its photos."""

    def path(self, index: int) -> str | None:
        """The photo's file, relative to the source; None if it has none of its own, as in a table."""
        ...


def path_of(photos: object, index: int) -> str | None:
    """The photo's file, relative to the source; None if it has none of its own."""
    return photos.path(index) if isinstance(photos, Located) else None


def existing_file(source: str | Path, path: str | None) -> str:
    """The absolute path of a photo's file, given relative to its source; of a link, not of its target.

    Empty if the photo has no file of its own, as in a tar or a table, or it is no longer there.
    """
    file = Path(source).resolve() / path if path else None
    return str(file) if file is not None and file.is_file() else ""


@runtime_checkable
class Grouped(Protocol):
    """A split of which a column names groups of photos, such as those of one person."""

    def group(self, index: int) -> str:
        """The group of a photo; empty if it has none."""
        ...


def group_of(photos: object, index: int) -> str:
    """The group that a column names for a photo; empty if it has none."""
    return photos.group(index) if isinstance(photos, Grouped) else ""


@dataclass(frozen=True)
class Source:
    """Labeled photos in any raw form, sorted by label, then file name; records in their own order."""

    form: str
    """The raw form in words: "Kaggle tree", "class folders in a tar"."""
    path: Path
    classes: list[Class]
    """In label order."""
    splits: dict[str, SourceSplit]
    """`train`, and `val` and `test` where there are photos for them; `test` may be unlabeled."""
    strays: list[str] = field(default_factory=list[str])
    """Names of files that belong to no split and were skipped."""
    settings: PrepareSettings = field(default_factory=PrepareSettings)
    """Defaults for `prepare`: EXIF orientation is applied to custom photos, digits are padded."""
    class_filter: str = ""
    """The `prepare --classes` that was applied; empty if all classes were kept."""
    unfiltered_classes: int = 0
    """Number of classes before the filter; 0 without one."""
    val_fraction: float = 0.0
    """Fraction of each class that was held out as `val`; 0 where the source has a `val`, or none is."""
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    """Photos and lists that were skipped for a reason."""
    origins: dict[str, SplitOrigin] = field(default_factory=dict[str, SplitOrigin])
    """By split; where it is missing, the form itself has splits and labels."""
    notes: list[str] = field(default_factory=list[str])
    """What else is unusual about the classes or label files."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """The `SourceOptions` that were chosen."""
    group_by: str = ""
    """The `--group-by` that kept photos together when `val` was held out."""
    dropped: tuple[DroppedPhoto, ...] | None = None
    """The copies that `--drop-duplicates` left out; None without it."""


@dataclass(frozen=True)
class ArraySplit:
    """Images and labels in memory, handed out as netpbm files."""

    pixels: npt.NDArray[np.uint8]
    """(N, H, W) gray levels or (N, H, W, 3) in RGB."""
    labels: Labels
    name: str

    def __len__(self) -> int:
        return len(self.pixels)

    def key(self, index: int) -> str:
        """Split and number: `train/00042`."""
        return f"{self.name}/{index:05d}"

    def __getitem__(self, index: int) -> Example:
        pixels = self.pixels[index]
        form, (height, width) = "P5" if pixels.ndim == 2 else "P6", pixels.shape[:2]
        image = f"{form}\n{width} {height}\n255\n".encode() + pixels.tobytes()
        return Example(image, int(self.labels[index]), self.key(index))


class CheckedBoxes(NamedTuple):
    """The boxes annotated for one photo, after `check_boxes`."""

    boxes: tuple[Box, ...] = ()
    """The usable ones, clipped to the photo."""
    odd: tuple[str, ...] = ()
    """What is wrong with others: any of `NO_BOX`, `REVERSED`, `EMPTY`, `OUTSIDE`, `BEYOND`."""


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source; empty if the choice is left to the reader, which refuses what is ambiguous."""

    image_column: str = ""
    """Of tables (parquet, Arrow, label files): the column of photos."""
    label_column: str = ""
    """Of tables: the column of labels."""
    configuration: str = ""
    """Of tables: the configuration, where the files belong to several."""
    group_column: str = ""
    """Of tables: the column whose equal cells keep photos in one split, such as that of the person."""
    class_level: int = 0
    """Of folders: at which depth the class folders are; 1 is in the (split) folder itself, `INNERMOST` those
    that directly hold the photos. 0: not chosen."""
    exclude: str = ""
    """Folders that are left out, by name or by path relative to the source, with commas between."""
    labels: str = ""
    """The file that labels the photos, or several with commas between; relative to the working directory,
    else to the source."""
    label_numbers: LabelNumbers | None = None
    skip_unlabeled: bool = False
    """Whether photos that the label file does not name are left out; else they are refused."""
    labels_from_names: bool = False
    """Whether the class is the part of a photo's name before its number: `cat` of `cat.0.jpg`."""
    splits: Mapping[SplitName, str] = field(default_factory=dict[SplitName, str])
    """The folder of each split, or the file that lists its photos; relative to the source."""

    @property
    def choose_folders(self) -> bool:
        """Whether something is chosen that only photos in folders have."""
        chosen = (self.class_level, self.labels, self.labels_from_names, self.skip_unlabeled, self.splits)
        return any(chosen)

    @property
    def chosen(self) -> dict[str, Any]:
        """By name; without those that are left to the reader."""
        return {name: value for name, value in asdict(self).items() if value}

    def recorded(self, source: Path) -> dict[str, Any]:
        """`chosen`, for the header of the store; a label file inside the source is named relative to it."""
        chosen = self.chosen
        if self.labels:
            root = source.resolve()
            paths = [Path(file).resolve() for file in self.labels.split(",")]
            shown = [p.relative_to(root).as_posix() if p.is_relative_to(root) else p.name for p in paths]
            chosen["labels"] = ",".join(shown)
        return chosen


def parse_splits(text: str) -> dict[SplitName, str]:
    """`train=DIR,val=DIR,test=FILE` as a mapping; CommandError for anything else."""
    found: dict[SplitName, str] = {}
    for part in filter(None, text.split(",")):
        name, _, place = part.partition("=")
        split = split_of(name.strip())
        if split is None or not place or split in found:
            raise CommandError(f"--splits {text}: expected train=DIR,val=DIR,test=DIR, each at most once")
        found[split] = place.strip().rstrip("/")
    return found
