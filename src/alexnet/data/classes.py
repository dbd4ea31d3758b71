"""Classes: their WNIDs (WordNet ids), their readable names, and comparisons of label orders.

A label number means nothing by itself: ILSVRC ids, sorted WNIDs and Caffe's list disagree. Wherever two lists
of classes meet (train and validation, store and model, two runs) they are compared by WNID first. For custom
photos the folder's name is both the WNID and the name.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from alexnet.errors import DataError

NO_LABEL = -1
"""The label of an unlabeled photo, such as those of ILSVRC-2012's test set."""

_WNID_IN_NAME = re.compile(r"(?:^|_)(n\d{8})(?=[_.]|$)")
_MAX_NAMED = 3
"""Differing classes that an error message names; the others are counted."""


@dataclass(frozen=True)
class Class:
    """One class. Two classes with the same WNID are the same class."""

    wnid: str
    """`n01440764`, or the folder's name for classes that are not from WordNet."""
    name: str
    """Readable; unique within a list of classes."""


def imagenet_classes() -> list[Class]:
    """The 1,000 classes of ILSVRC-2012 in WNID order, the label order of nearly all published weights."""
    return [Class(wnid, name) for wnid, name in _imagenet_names().items()]


def is_wnid(name: str) -> bool:
    """Whether a name is a WordNet id in ImageNet's form: `n` and eight digits."""
    return re.fullmatch(r"n\d{8}", name) is not None


def wnid_in(name: str) -> str:
    """The WNID in a photo's name, such as `n01440764_10026.JPEG`; empty if it has none."""
    match = _WNID_IN_NAME.search(name)
    return match.group(1) if match else ""


def are_custom(classes: Sequence[Class]) -> bool:
    """Whether the classes are a person's own and not ImageNet's, whose WNIDs are all of this form.

    EXIF orientation is applied to people's photos, and their boxes are drawn on upright ones. One class named
    like a WNID among others decides nothing.
    """
    return not all(is_wnid(each.wnid) for each in classes)


def different_classes(classes: Sequence[Class]) -> list[Class]:
    """The classes; ValueError if there are none, or one is there twice."""
    uses = Counter(each.wnid for each in classes)
    if not uses:
        raise ValueError("no classes")
    wnid, count = uses.most_common(1)[0]
    if count > 1:
        raise ValueError(f"class {wnid} {count} times")
    return list(classes)


def class_name(wnid: str) -> str:
    """The readable name of an ILSVRC-2012 WNID; any other WNID unchanged."""
    return _imagenet_names().get(wnid, wnid)


def classes_from_wnids(wnids: Iterable[str], synonyms: Mapping[str, str] | None = None) -> list[Class]:
    """Classes in the given order, named by ILSVRC-2012's list, else by `synonyms`, else by their WNIDs.

    `synonyms` maps WNIDs to WordNet's synonyms, separated by commas; the first one is used. Where two classes
    would have the same name, the WNID is appended to both.
    """
    order = list(wnids)
    known, synonyms = _imagenet_names(), synonyms or {}
    names = [
        known.get(wnid) or (synonyms[wnid].partition(",")[0] if wnid in synonyms else wnid) for wnid in order
    ]
    uses = Counter(name.casefold() for name in names)
    return [
        Class(wnid, name if uses[name.casefold()] == 1 else f"{name} ({wnid})")
        for wnid, name in zip(order, names, strict=True)
    ]


def read_synonyms(text: str) -> dict[str, str]:
    """WNID -> WordNet's synonyms, from lines such as `n01440764 tench, Tinca tinca`."""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def in_label_order(wnids: Iterable[str]) -> list[str]:
    """Sorted; numerically if every name is a number, so that folder 10 follows folder 9."""
    names = list(wnids)
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=_by_value)
    return sorted(names)


def _by_value(number: str) -> tuple[int, str, str]:
    """Orders decimal numbers by value, then by leading zeros; `int` refuses more than 4,300 digits."""
    digits = number.lstrip("0")
    return len(digits), digits, number


def check_same_classes(expected: Sequence[Class], found: Sequence[Class], what: str) -> None:
    """Raises DataError, naming differences, unless both lists have the same WNIDs in the same order.

    `what` describes for the message what is compared: "classes of train and val".
    """
    wanted, present = [c.wnid for c in expected], [c.wnid for c in found]
    if wanted == present:
        return
    missing = [wnid for wnid in wanted if wnid not in set(present)]
    extra = [wnid for wnid in present if wnid not in set(wanted)]
    parts = [
        f"only in the {which}: {_first_few(wnids)}"
        for which, wnids in (("first", missing), ("second", extra))
        if wnids
    ]
    if not parts:
        label = next(i for i, pair in enumerate(zip(wanted, present, strict=False)) if pair[0] != pair[1])
        parts = [
            f"same classes in another order: label {label} is {present[label]}, expected {wanted[label]}"
        ]
    raise DataError(f"{what} differ: {'; '.join(parts)}")


def label_map(found: Sequence[Class], expected: Sequence[Class], what: str) -> npt.NDArray[np.int32]:
    """(len(found),) the label in `expected` of each class of `found`, matched by WNID.

    DataError if a class is missing from `expected`, or occurs twice in either list, which would be ambiguous.
    """
    labels = {c.wnid: label for label, c in enumerate(expected)}
    for classes in (found, expected):
        uses = Counter(c.wnid for c in classes)
        twice = [wnid for wnid, count in uses.items() if count > 1]
        if twice:
            raise DataError(f"{what}: more than one label for class {_first_few(twice)}")
    absent = [c.wnid for c in found if c.wnid not in labels]
    if absent:
        raise DataError(f"{what}: no such class {_first_few(absent)}")
    return np.array([labels[c.wnid] for c in found], dtype=np.int32)


@functools.cache
def _imagenet_names() -> dict[str, str]:
    text = resources.files("alexnet.data").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()]
    return {row[0]: row[1] for row in rows}


def _first_few(names: Sequence[str]) -> str:
    rest = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
