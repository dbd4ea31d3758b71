"""The manifest of a store, `header.json`, and the settings that a store is prepared with."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from alexnet import old_names
from alexnet.checksum import write_json_with_checksum
from alexnet.data.classes import Class
from alexnet.data.decode import PHOTO_SUFFIXES
from alexnet.data.findings import Findings
from alexnet.errors import CommandError, DataError
from alexnet.json_reader import as_object, check_version, read_object
from alexnet.serialization import from_dict

MANIFEST_FILE = "header.json"
VERSION = 1
"""Version of the store's format; a store of a newer version is refused."""

Channels = tuple[float, ...]
"""A number for each channel: R, G, B, or gray alone."""


@dataclass(frozen=True)
class PrepareSettings:
    """How photos are stored; sides in pixels. CommandError for settings that do not fit together."""

    side: int = 256
    """Side of the stored square, or the shorter side if `shape` is `whole`."""
    shape: Literal["square", "whole"] = "square"
    resize: Literal["crop", "warp", "pad"] = "crop"
    encoding: Literal["jpeg", "raw"] = "jpeg"
    quality: int = 95
    """JPEG quality, 1 to 100."""
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"
    exif: bool = False
    """Whether EXIF orientation is applied."""
    channels: int = 3
    """3 for color, 1 for gray."""

    def __post_init__(self) -> None:
        checks = [
            (self.side >= 16, f"side {self.side} is too small: use 16 pixels or more"),
            (1 <= self.quality <= 100, f"quality {self.quality} is not in 1..100"),
            (self.channels in (1, 3), f"channels {self.channels} must be 3 (color) or 1 (gray)"),
            (
                self.shape == "square" or self.resize == "crop",
                f"--resize {self.resize} makes squares: remove --shape whole",
            ),
            (
                self.shape == "square" or self.encoding == "jpeg",
                "raw images must be squares: remove --shape whole",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise CommandError(message)

    def with_choices(self, **choices: Any) -> PrepareSettings:
        """These settings with the choices that are not None in place of the defaults.

        Images are padded only to the default side: for another side, `resize` becomes `crop` unless chosen.
        """
        given = {name: value for name, value in choices.items() if value is not None}
        if self.resize == "pad" and given.get("side", self.side) != self.side:
            given.setdefault("resize", "crop")
        return replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        """The settings that matter: raw images have neither quality nor subsampling."""
        unused = {"quality": 0, "subsampling": ""} if self.encoding == "raw" else {}
        return {**asdict(self), **unused}


@dataclass(frozen=True)
class ShardEntry:
    """One Arrow file of a split."""

    file: str
    """Its name, in the folder of the store."""
    count: int
    """Number of images."""
    bytes: int
    """Its size."""
    sha256: str
    """Of the file."""


@dataclass(frozen=True)
class SplitEntry:
    """One split: its images in order are those of its shards in order."""

    count: int
    """Number of images."""
    shards: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class SourceEntry:
    """The photos that a store was prepared from."""

    form: str
    """The raw form, in words, such as "Kaggle tree"."""
    path: str = ""
    """Where they were, absolute; empty in stores made before it was recorded."""
    photos: dict[str, int] = field(default_factory=dict[str, int])
    """Photos in each split of the source, unreadable ones included."""
    sha256: str = ""
    """SHA-256 of its classes, labels and keys."""
    class_filter: str = ""
    """The `prepare --classes` that was applied; empty if all classes were kept."""
    unfiltered_classes: int = 0
    """Number of classes before the filter; 0 without one."""
    val_fraction: float = 0.0
    """Fraction of each class that was held out as `val`; 0 if none was."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """The `SourceOptions` that chose how the source was read."""
    group_by: str = ""
    """The `prepare --group-by` that kept photos together when `val` was held out."""
    drop_duplicates: bool = False
    """Whether copies of other photos were left out."""


@dataclass(frozen=True)
class OddFiles:
    """Photos that were read but are unusual (gray, CMYK, PNG named JPEG, ...)."""

    count: int
    """Number of photos."""
    first: tuple[str, ...]
    """`split/key` of the first few."""


@dataclass(frozen=True)
class UnreadableFile:
    """A photo of the source that could not be read and is not in the store."""

    split: str
    """The split it would be in."""
    key: str
    """Its name in the source."""
    reason: str
    """Why it could not be read, in words."""


@dataclass(frozen=True)
class Manifest:
    """The contents of `header.json`, the manifest of a store, with the same names."""

    version: int
    """Of the store's format; a store of a newer one is refused."""
    side: int
    """Side of the square in pixels, or the shorter side if the shape is `whole`."""
    shape: str
    """`square`, or `whole` if the aspect ratio of the photo was kept."""
    resize: str
    """How squares were made: `crop` (shorter side to `side`, central square), `warp` (aspect changed) or
    `pad` (not resized, centered on black)."""
    encoding: str
    """`jpeg`, or `raw` for uint8 (height, width, channels) in C order."""
    quality: int
    """JPEG quality; 0 if raw."""
    subsampling: str
    """JPEG chroma subsampling, `4:4:4`; empty if raw."""
    resampling: str
    """The filter images were resized with, a key of `resize.FILTERS`."""
    exif: bool
    """Whether EXIF orientation was applied; `width` and `height` are those after it."""
    source: SourceEntry
    splits: dict[str, SplitEntry]
    classes: tuple[Class, ...]
    """In label order."""
    statistics_split: str
    """The split that mean and covariance are computed from: `train` if there is one."""
    channel_mean: Channels
    """Mean of each channel in gray levels 0..255, before JPEG encoding, like every statistic."""
    mean_image: str
    """File of the mean image: npy, float32 (side, side, channels)."""
    color_covariance: tuple[Channels, ...]
    """Covariance of the channels over all pixels, in gray levels squared."""
    color_eigenvalues: Channels
    """Descending."""
    color_eigenvectors: tuple[Channels, ...]
    """Unit vectors, one per eigenvalue, each with a positive sum."""
    odd: dict[str, OddFiles]
    """Unusual photos, by what is unusual."""
    unreadable: tuple[UnreadableFile, ...]
    mean_image_sha256: str = ""
    """Empty in stores made before it was recorded."""
    channels: int = 3
    """3 for RGB, 1 for gray; older stores without the field are RGB."""
    picture: int = 0
    """If padded, the longest side of any photo in pixels; else 0."""
    findings: Findings | None = None
    """What may spoil an experiment, shortened; None in stores made before it was recorded."""

    @property
    def resized(self) -> dict[str, str]:
        """How images were resized; training and testing must agree in this."""
        how = {"shape": self.shape, "resize": self.resize, "resampling": self.resampling}
        return how | ({"picture": str(self.picture)} if self.resize == "pad" else {})

    @property
    def form(self) -> str:
        """How images are stored, such as `72 x 72 pixels, RGB`."""
        colors = "gray" if self.channels == 1 else "RGB"
        size = f"{self.side} x {self.side}" if self.shape == "square" else f"whole, shorter side {self.side}"
        return f"{size} pixels, {colors}"

    def digest(self) -> str:
        """SHA-256 over the shards' hashes; equal for stores with the same contents."""
        hashes = [
            f"{shard.file} {shard.sha256}\n" for split in self.splits.values() for shard in split.shards
        ]
        return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `folder/header.json` atomically."""
    write_json_with_checksum(folder / MANIFEST_FILE, dataclasses.asdict(manifest))


class NoStore(DataError, FileNotFoundError):  # noqa: N818 - as in FileNotFoundError
    """There is nothing at the path of a store."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the store at `folder`; DataError if it is missing, damaged or of a newer version."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        make = f"make it with `alexnet prepare SOURCE {folder}`"
        if not folder.exists():
            raise NoStore(f"{folder} is not a store (no such folder): {make}")
        if (folder / FINGERPRINT_FILE).is_file():
            raise DataError(f"{folder} is not a store yet: finish it with the same `alexnet prepare` command")
        if _holds_photos(folder):
            raise DataError(
                f"{folder} holds photos: make a store of them with `alexnet prepare {folder} STORE`"
            )
        kind = "another folder" if folder.is_dir() else "a file"
        raise DataError(f"{folder} is not a store ({kind}): {make}")
    return read_object(path, _parse, "is damaged", f"delete {folder} and prepare it again")


def _holds_photos(folder: Path) -> bool:
    """Whether there are photos in the folder or the folders in it, to a depth of three."""
    patterns = ("*", "*/*", "*/*/*")
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return any(path.suffix.lower() in PHOTO_SUFFIXES for path in found)


def _parse(values: Mapping[str, Any]) -> Manifest:
    check_version(values["version"], VERSION)
    source = old_names.new_source(as_object(values["source"]))
    return from_dict(Manifest, {**values, "source": source})


FINGERPRINT_FILE = "preparing.json"
"""In the folder of an unfinished store: what it is to become."""
