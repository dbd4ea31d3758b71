"""How photos are stored: what a person chooses, and what half-done work is recognised by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from alexnet.errors import CommandError


@dataclass(frozen=True)
class Settings:
    """How photos are stored; sides in pixels."""

    side: int = 256
    shape: Literal["square", "whole"] = "square"
    resize: Literal["crop", "warp"] = "crop"
    encoding: Literal["jpeg", "raw"] = "jpeg"
    quality: int = 95
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"
    exif: bool = False

    def __post_init__(self) -> None:
        checks = [
            (self.side >= 16, f"side {self.side} is too small: use 16 pixels or more"),
            (1 <= self.quality <= 100, f"quality {self.quality} is not in 1..100"),
            (
                self.shape == "square" or self.resize == "crop",
                "--resize warp makes squares: leave out --shape whole",
            ),
            (
                self.shape == "square" or self.encoding == "jpeg",
                "raw images must be squares: leave out --shape whole",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise CommandError(message)

    def to_dict(self) -> dict[str, Any]:
        """The settings that matter: raw images have neither quality nor subsampling."""
        meaningless = {"quality": 0, "subsampling": ""} if self.encoding == "raw" else {}
        return {**asdict(self), **meaningless}
