"""The raw forms in which labeled photos come, one per file; `open_source` finds the right one."""

from __future__ import annotations

from alexnet.data.sources.base import Box, Example, Source, SourceSplit, keep_classes
from alexnet.data.sources.open import open_source

__all__ = ["Box", "Example", "Source", "SourceSplit", "keep_classes", "open_source"]
