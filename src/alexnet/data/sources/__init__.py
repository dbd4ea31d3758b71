"""The raw forms in which labeled photos come, one per file; `open_source` recognizes them."""

from __future__ import annotations

from alexnet.data.sources.base import Box, Example, Source, SourceOptions, SourceSplit, parse_splits
from alexnet.data.sources.open import open_source
from alexnet.data.sources.selection import filter_classes, hold_out

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
