"""The raw forms in which labeled photos come, one per file; `open_source` recognizes them.

The readers of all forms are imported when `open_source` is first used: to predict needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alexnet.data.sources.base import Box, Example, Source, SourceOptions, SourceSplit, parse_splits
from alexnet.data.sources.selection import filter_classes, hold_out

if TYPE_CHECKING:
    from alexnet.data.sources.open import open_source

__all__ = [
    "Box",
    "Example",
    "Source",
    "SourceOptions",
    "SourceSplit",
    "filter_classes",
    "hold_out",
    "open_source",
    "parse_splits",
]


def __getattr__(name: str) -> Any:
    if name == "open_source":
        from alexnet.data.sources import open as opening

        return opening.open_source
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
