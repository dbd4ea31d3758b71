"""The raw forms in which labelled photos come, one per file; `open_source` finds the right one."""

from __future__ import annotations

from alexnet.data.sources.contract import Box, Example, Source, SourceSplit
from alexnet.data.sources.keep_classes import keep_classes
from alexnet.data.sources.open import open_source

__all__ = ["Box", "Example", "Source", "SourceSplit", "keep_classes", "open_source"]
