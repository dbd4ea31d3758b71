"""The raw forms in which labeled photos come, one per file; `open_source` recognizes them."""

from __future__ import annotations

from alexnet.data.sources.base import Box, Example, Source, SourceSplit
from alexnet.data.sources.class_filter import filter_classes
from alexnet.data.sources.hold_out import hold_out
from alexnet.data.sources.open import open_source
from alexnet.data.sources.options import SourceOptions, parse_splits

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
