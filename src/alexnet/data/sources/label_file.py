"""The label of every photo in a flat folder, from the text files that people keep beside it.

Understood, a line a photo: `name,wnid` or `name,label` (CSV, with or without a header, and Kaggle's with
boxes behind the WNID), the same with tabs or spaces between, or a column of WNIDs or labels for the photos
in sorted order. A label that is a number counts from 0 in the order of the classes; names may lack their
ending.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from alexnet.data.classes import Class, classes_of, in_label_order
from alexnet.data.sources.base import Labels
from alexnet.errors import DataError

FORMS = "a text file with lines `name wnid`, such as val.txt"
"""What to ask for where there is none."""

_WNID = re.compile(r"n\d{8}")


def choose(names: Iterable[str], split: str, where: Path) -> str | None:
    """The file name that labels a split, Kaggle's first; None if none does, DataError if several do."""
    texts = [name for name in names if name.lower().endswith((".txt", ".csv", ".tsv"))]
    if f"LOC_{split}_solution.csv" in texts:
        return f"LOC_{split}_solution.csv"
    fitting = sorted(name for name in texts if split in name.lower())
    fitting = fitting or sorted(
        name for name in texts if "label" in name.lower() and "train" not in name.lower()
    )
    if len(fitting) > 1:
        raise DataError(f"{where}: {', '.join(fitting)} may all label {split}: leave only one of them there")
    if any("ground_truth" in name for name in fitting):
        raise DataError(
            f"{where}: the ids in {fitting[0]} mean nothing without the devkit's meta.mat: put it beside"
        )
    return fitting[0] if fitting else None


def read_labels(text: str, photos: Sequence[str], classes: Sequence[Class], where: str) -> Labels:
    """(len(photos),) the labels of photos (sorted file names) by a file's text; DataError if one has none."""
    rows = _rows(text)
    numbers = {c.wnid: label for label, c in enumerate(classes)}
    numbers |= {str(label): label for label in range(len(classes)) if str(label) not in numbers}
    if all(len(row) == 1 for row in rows):
        return in_order([row[0] for row in rows], photos, numbers, where)
    by_name = {_stem(row[0]): row[1].split()[0] for row in rows if len(row) > 1 and row[1].strip()}
    unlabeled = [photo for photo in photos if _stem(photo) not in by_name]
    if unlabeled:
        raise DataError(f"{where} has no label for {len(unlabeled):,} photos such as {unlabeled[0]}")
    return _to_labels([by_name[_stem(photo)] for photo in photos], numbers, where)


def classes_in(text: str, where: str) -> list[Class]:
    """The WNIDs that a label file mentions, in label order; DataError where it has numbers only."""
    wnids = {
        word for row in _rows(text) for word in row[min(1, len(row) - 1)].split()[:1] if _WNID.fullmatch(word)
    }
    if not wnids:
        raise DataError(
            f"{where} says no WNIDs, and without training photos numbers mean nothing: write WNIDs"
        )
    return classes_of(in_label_order(wnids))


def in_order(words: Sequence[str], photos: Sequence[str], numbers: dict[str, int], where: str) -> Labels:
    """The labels that a column of words gives to photos in sorted order; their counts must agree."""
    if len(words) != len(photos):
        raise DataError(
            f"{where} has {len(words):,} labels for {len(photos):,} photos: names are needed in it"
        )
    return _to_labels(words, numbers, where)


def _to_labels(words: Sequence[str], numbers: dict[str, int], where: str) -> Labels:
    unknown = sorted({word for word in words if word not in numbers})
    if unknown:
        what = f"{where}: label {unknown[0]!r} is none of the {len(set(numbers.values())):,} classes"
        raise DataError(f"{what}; write WNIDs, or numbers from 0 in the order of the sorted WNIDs")
    return np.array([numbers[word] for word in words], dtype=np.int32)


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    if any("," in line for line in lines):
        return [row for row in csv.reader(lines) if row]
    if any("\t" in line for line in lines):
        return [line.split("\t") for line in lines]
    return [line.split(maxsplit=1) for line in lines]


def _stem(name: str) -> str:
    return PurePosixPath(name.strip()).stem
