"""The names that ILSVRC's photos for testing were given out under: which photo of which set each is."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(r"ILSVRC(20\d\d)_(val|test)_(\d{8})(?:_n\d{8})?\.JPEG")
"""Hugging Face's files put the WNID behind the number of a validation photo."""


class OfficialName(NamedTuple):
    """What `ILSVRC2012_test_00000001.JPEG` says."""

    year: int
    split: str
    """`val` or `test`."""
    number: int
    """From 1."""

    def __str__(self) -> str:
        return f"ILSVRC{self.year}_{self.split}_{self.number:08d}.JPEG"


def official_name(path: str) -> OfficialName | None:
    """What the file name at the end of a path says; None where it is no official one."""
    found = _NAME.fullmatch(path.rpartition("/")[2])
    return OfficialName(int(found[1]), found[2], int(found[3])) if found else None
