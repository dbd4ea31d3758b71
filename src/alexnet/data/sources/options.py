"""Choices that a person makes where a source can be read in several ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import CommandError


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source; empty if the choice is left to the reader, which refuses what is ambiguous."""

    image_column: str = ""
    """Of tables (parquet, Arrow): the column of photos."""
    label_column: str = ""
    """Of tables: the column of labels."""
    configuration: str = ""
    """Of tables: the configuration, where the files belong to several."""

    def refuse_for_tables(self, where: Path) -> None:
        """CommandError if something is chosen that only tables have."""
        if self.image_column or self.label_column or self.configuration:
            raise CommandError(
                f"{where} holds no parquet or Arrow files: remove --image-column, --label-column and "
                "--configuration"
            )
