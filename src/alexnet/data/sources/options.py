"""Choices that a person makes where a source can be read in several ways."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source; empty where the choice is left to the reader, which refuses what is ambiguous."""

    image_column: str = ""
    """Of tables (parquet, Arrow): the column of photos."""
    label_column: str = ""
    """Of tables: the column of labels."""
    configuration: str = ""
    """Of tables: the configuration, where the files belong to several."""
