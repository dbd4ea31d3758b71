"""How photos are stored: what a person chooses, and what half-done work is recognised by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from alexnet.errors import CommandError


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
    """3 for colour, 1 for grey."""

    def __post_init__(self) -> None:
        checks = [
            (self.side >= 16, f"side {self.side} is too small: use 16 pixels or more"),
            (1 <= self.quality <= 100, f"quality {self.quality} is not in 1..100"),
            (self.channels in (1, 3), f"channels {self.channels} must be 3 (colour) or 1 (grey)"),
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
