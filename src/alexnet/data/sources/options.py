"""Choices that a person makes where a source can be read in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from alexnet.data.sources.split_words import SplitName, split_of
from alexnet.errors import CommandError

LabelNumbers = Literal["names", "from-0", "from-1"]
"""What numbers in a label file are: names of classes, or positions in their order, counted from 0 or 1."""


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source; empty if the choice is left to the reader, which refuses what is ambiguous."""

    image_column: str = ""
    """Of tables (parquet, Arrow, label files): the column of photos."""
    label_column: str = ""
    """Of tables: the column of labels."""
    configuration: str = ""
    """Of tables: the configuration, where the files belong to several."""
    class_level: int = 0
    """Of folders: at which depth the class folders are; 1 is in the (split) folder itself. 0: not chosen."""
    labels: str = ""
    """The file that labels the photos, or several with commas between; relative to the working directory,
    else to the source."""
    label_numbers: LabelNumbers | None = None
    labels_from_names: bool = False
    """Whether the class is the part of a photo's name before its number: `cat` of `cat.0.jpg`."""
    splits: Mapping[SplitName, str] = field(default_factory=dict[SplitName, str])
    """The folder of each split, or the file that lists its photos; relative to the source."""

    @property
    def choose_folders(self) -> bool:
        """Whether something is chosen that only photos in folders have."""
        return bool(self.class_level or self.labels or self.labels_from_names or self.splits)

    def recorded(self, source: Path) -> dict[str, Any]:
        """The options that were chosen, for the header of the store; a label file inside the source is
        named relative to it."""
        chosen = {name: value for name, value in asdict(self).items() if value}
        if self.labels:
            root = source.resolve()
            paths = [Path(file).resolve() for file in self.labels.split(",")]
            shown = [p.relative_to(root).as_posix() if p.is_relative_to(root) else p.name for p in paths]
            chosen["labels"] = ",".join(shown)
        return chosen


def parse_splits(text: str) -> dict[SplitName, str]:
    """`train=DIR,val=DIR,test=FILE` as a mapping; CommandError for anything else."""
    found: dict[SplitName, str] = {}
    for part in filter(None, text.split(",")):
        name, _, place = part.partition("=")
        split = split_of(name.strip())
        if split is None or not place or split in found:
            raise CommandError(f"--splits {text}: expected train=DIR,val=DIR,test=DIR, each at most once")
        found[split] = place.strip().rstrip("/")
    return found
