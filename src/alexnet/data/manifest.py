"""How photos are stored: what a person chooses, and what half-done work is recognized by."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from alexnet.data.classes import Class
from alexnet.errors import CommandError, DataError
from alexnet.io import write_json


@dataclass(frozen=True)
class Settings:
    """How photos are stored; sides in pixels."""

    side: int = 256
    shape: Literal["square", "whole"] = "square"
    resize: Literal["crop", "warp", "pad"] = "crop"
    encoding: Literal["jpeg", "raw"] = "jpeg"
    quality: int = 95
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"
    exif: bool = False
    channels: int = 3
    """3 for color, 1 for gray."""

    def __post_init__(self) -> None:
        checks = [
            (self.side >= 16, f"side {self.side} is too small: use 16 pixels or more"),
            (1 <= self.quality <= 100, f"quality {self.quality} is not in 1..100"),
            (self.channels in (1, 3), f"channels {self.channels} must be 3 (color) or 1 (gray)"),
            (
                self.shape == "square" or self.resize == "crop",
                f"--resize {self.resize} makes squares: leave out --shape whole",
            ),
            (
                self.shape == "square" or self.encoding == "jpeg",
                "raw images must be squares: leave out --shape whole",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise CommandError(message)

    def chosen(self, **choices: Any) -> Settings:
        """These settings with a person's choices, of which None is none, in their place.

        Pictures are padded to the side that goes with them: to any other they are resized, if not told.
        """
        made = {name: value for name, value in choices.items() if value is not None}
        if self.resize == "pad" and made.get("side", self.side) != self.side:
            made.setdefault("resize", "crop")
        return replace(self, **made)

    def to_dict(self) -> dict[str, Any]:
        """The settings that matter: raw images have neither quality nor subsampling."""
        meaningless = {"quality": 0, "subsampling": ""} if self.encoding == "raw" else {}
        return {**asdict(self), **meaningless}


MANIFEST_FILE = "header.json"
VERSION = 1
"""Of the store's format; a store of a newer version is refused."""

Channels = tuple[float, ...]
"""A number for each of the channels: R, G, B, or the one of gray images."""


@dataclass(frozen=True)
class ShardEntry:
    """One Arrow file of a split."""

    file: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SplitEntry:
    """One split: its images in order are those of its shards in order."""

    count: int
    shards: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class OddFiles:
    """Files that were read but not as plain as they should be (gray, CMYK, PNG named JPEG, ...)."""

    count: int
    first: tuple[str, ...]
    """`split/key` of the first few."""


@dataclass(frozen=True)
class UnreadableFile:
    """An image of the source that is not in the store."""

    split: str
    key: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What `header.json` holds, under the same names."""

    version: int
    side: int
    """Pixels of the square's side, or of the shorter side where the shape is `whole`."""
    shape: str
    """`square`, or `whole` for the aspect of the original."""
    resize: str
    """How a square was made: `crop` (shorter side to `side`, central square), `warp` (aspect changed) or
    `pad` (not resized, in the middle of black)."""
    encoding: str
    """`jpeg`, or `raw` for uint8 (height, width, channels) in C order."""
    quality: int
    """JPEG quality; 0 where raw."""
    subsampling: str
    """JPEG chroma subsampling, `4:4:4`; empty where raw."""
    resampling: str
    """The filter images were resized with."""
    exif: bool
    """Whether EXIF orientation was applied; `width` and `height` are then those of the turned photo."""
    source: dict[str, Any]
    """`form`, `photos` per split as the source counts them, and `sha256` of its classes, labels and keys;
    `classes`, where not all of them were kept; `val_fraction`, where some were held out as `val`."""
    splits: dict[str, SplitEntry]
    classes: tuple[Class, ...]
    """In label order."""
    statistics_split: str
    """The split that mean and covariance are of: `train` where there is one."""
    channel_mean: Channels
    """R, G, B, or gray, in levels 0..255, like every statistic; of the pixels before JPEG encoding."""
    mean_image: str
    """File of the mean image: npy, float32 (side, side, channels)."""
    color_covariance: tuple[Channels, ...]
    """Of the channels' values of all pixels, in gray levels squared."""
    color_eigenvalues: Channels
    """Descending."""
    color_eigenvectors: tuple[Channels, ...]
    """Unit vectors, one per eigenvalue, each with a positive sum."""
    odd: dict[str, OddFiles]
    """By kind of oddity."""
    unreadable: tuple[UnreadableFile, ...]
    mean_image_sha256: str = ""
    """Of that file; empty in stores that were made before it was kept."""
    channels: int = 3
    """3 for RGB, 1 for gray images; older stores, which do not say, are RGB."""
    picture: int = 0
    """Where padded: pixels of the longest side of any photo. Else 0."""

    @property
    def resized(self) -> dict[str, str]:
        """How images were resized: what must agree between training and testing."""
        how = {"shape": self.shape, "resize": self.resize, "resampling": self.resampling}
        return how | ({"picture": str(self.picture)} if self.resize == "pad" else {})

    def digest(self) -> str:
        """SHA-256 over the shards' hashes: equal for stores of equal contents."""
        hashes = [
            f"{shard.file} {shard.sha256}\n" for split in self.splits.values() for shard in split.shards
        ]
        return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `folder/header.json` atomically."""
    write_json(folder / MANIFEST_FILE, dataclasses.asdict(manifest))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the store at `folder`; DataError if there is none, or it is damaged, or too new."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        make = f"make it with `alexnet prepare SOURCE {folder}`"
        if not folder.exists():
            raise DataError(f"{folder} is not a store (no such folder): {make}")
        kind = "an unfinished or foreign folder" if folder.is_dir() else "a file"
        raise DataError(
            f"{folder} is not a store ({kind}): if it is photos, make one of them with "
            f"`alexnet prepare {folder} STORE`, else {make}"
        )
    try:
        values = json.loads(path.read_bytes())
        version = values["version"]
        if version <= VERSION:
            return _manifest(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error!r}): delete {folder} and prepare it again") from None
    raise DataError(f"{folder} has version {version}, this alexnet reads up to {VERSION}: upgrade alexnet")


def _manifest(values: Mapping[str, Any]) -> Manifest:
    parsed: dict[str, Any] = {
        "splits": {name: _split(entry) for name, entry in values["splits"].items()},
        "classes": tuple(Class(**entry) for entry in values["classes"]),
        "channel_mean": tuple(values["channel_mean"]),
        "color_covariance": tuple(map(tuple, values["color_covariance"])),
        "color_eigenvalues": tuple(values["color_eigenvalues"]),
        "color_eigenvectors": tuple(map(tuple, values["color_eigenvectors"])),
        "odd": {
            kind: OddFiles(entry["count"], tuple(entry["first"])) for kind, entry in values["odd"].items()
        },
        "unreadable": tuple(UnreadableFile(**entry) for entry in values["unreadable"]),
    }
    return Manifest(**{**values, **parsed})


def _split(entry: Mapping[str, Any]) -> SplitEntry:
    return SplitEntry(entry["count"], tuple(ShardEntry(**shard) for shard in entry["shards"]))
