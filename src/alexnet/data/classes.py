"""Who a class is: its WNID (WordNet identity), the name people read, and comparisons of label orders.

Label numbers mean nothing by themselves: ILSVRC ids, sorted WNIDs and Caffe's list disagree. Wherever two
things meet (train and validation, store and model, two runs) their lists of classes are compared first.
For a user's own photos the folder's name is both WNID and name.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alexnet.errors import DataError

NO_LABEL = -1
"""The label of a photo of which nobody told the class, as those of ILSVRC-2012's test set."""

SHOWN = 3
"""How many differing classes a message names before it only counts the rest."""


@dataclass(frozen=True)
class Class:
    """One class; equal WNID means equal class."""

    wnid: str
    """Identity: `n01440764`, or the folder's name where there is no WordNet."""
    name: str
    """What people read; unique within a list of classes."""


@functools.cache
def _imagenet_names() -> dict[str, str]:
    text = resources.files("alexnet.data").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()]
    return {row[0]: row[1] for row in rows}


def imagenet_classes() -> list[Class]:
    """The 1,000 classes of ILSVRC-2012 in WNID order, the label order of nearly all published weights."""
    return [Class(wnid, name) for wnid, name in _imagenet_names().items()]


def is_wnid(name: str) -> bool:
    """Whether a name is a WordNet id as ImageNet writes it: `n` and eight digits."""
    return re.fullmatch(r"n\d{8}", name) is not None


def name_of(wnid: str) -> str:
    """The readable name of an ILSVRC-2012 WNID; anything else is its own name."""
    return _imagenet_names().get(wnid, wnid)


def classes_of(wnids: Iterable[str], words: Mapping[str, str] | None = None) -> list[Class]:
    """Classes in the given order, named by ILSVRC-2012's list, else by `words`, else by themselves.

    `words` are WordNet's synonyms by WNID, of which the first counts. Where two classes would share a name,
    each gets its WNID behind it.
    """
    order = list(wnids)
    known, words = _imagenet_names(), words or {}
    names = [known.get(wnid) or words.get(wnid, wnid).partition(",")[0] for wnid in order]
    uses = Counter(name.casefold() for name in names)
    return [
        Class(wnid, name if uses[name.casefold()] == 1 else f"{name} ({wnid})")
        for wnid, name in zip(order, names, strict=True)
    ]


def read_words(text: str) -> dict[str, str]:
    """WordNet's synonyms by WNID, from lines such as `n01440764 tench, Tinca tinca`."""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def in_label_order(wnids: Iterable[str]) -> list[str]:
    """Sorted; numerically if every name is a number, so that folder 10 comes after folder 9."""
    names = list(wnids)
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def same_classes(expected: Sequence[Class], found: Sequence[Class], what: str) -> None:
    """Returns if both lists hold the same WNIDs in the same order; else DataError with the first differences.

    `what` says in words what is compared: "classes of train and val".
    """
    wanted, present = [c.wnid for c in expected], [c.wnid for c in found]
    if wanted == present:
        return
    missing = [wnid for wnid in wanted if wnid not in set(present)]
    extra = [wnid for wnid in present if wnid not in set(wanted)]
    parts = [
        f"{word} {_some(wnids)}"
        for word, wnids in (("only in the first:", missing), ("only in the second:", extra))
        if wnids
    ]
    if not parts:
        label = next(i for i, pair in enumerate(zip(wanted, present, strict=False)) if pair[0] != pair[1])
        parts = [f"same classes in another order: label {label} is {present[label]}, wanted {wanted[label]}"]
    raise DataError(f"{what} differ: {'; '.join(parts)}")


def label_map(found: Sequence[Class], expected: Sequence[Class], what: str) -> npt.NDArray[np.int32]:
    """(len(found),) the label in `expected` of each label of `found`, by WNID.

    DataError if a class is absent, or stands twice in either list: it would be unclear which label is meant.
    """
    labels = {c.wnid: label for label, c in enumerate(expected)}
    for classes in (found, expected):
        uses = Counter(c.wnid for c in classes)
        twice = [wnid for wnid, count in uses.items() if count > 1]
        if twice:
            raise DataError(f"{what}: more than one label for class {_some(twice)}")
    absent = [c.wnid for c in found if c.wnid not in labels]
    if absent:
        raise DataError(f"{what}: no such class {_some(absent)}")
    return np.array([labels[c.wnid] for c in found], dtype=np.int32)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


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
