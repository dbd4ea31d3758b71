"""Labels of the photos in a flat folder, from a text file beside it.

Each line is a photo: `name,wnid` or `name,label` (CSV, with or without a header; Kaggle's has boxes after the
WNID), the same separated by tabs or spaces, or a column of WNIDs or labels for the photos in sorted order. A
numeric label is an index, from 0, in the order of the classes. Names may lack their suffix.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from alexnet.data.classes import Class, classes_from_wnids, in_label_order, is_wnid
from alexnet.data.sources.base import Labels
from alexnet.errors import DataError

FORMS = "a text file with lines `name wnid`, such as val.txt"
"""For messages about a missing label file."""


def choose(names: Iterable[str], split: str, where: Path) -> str | None:
    """The name of the file that labels a split, Kaggle's first; None if there is none.

    DataError if there are several, or if it needs the devkit.
    """
    texts = [name for name in names if name.lower().endswith((".txt", ".csv", ".tsv"))]
    if f"LOC_{split}_solution.csv" in texts:
        return f"LOC_{split}_solution.csv"
    candidates = sorted(name for name in texts if split in name.lower())
    candidates = candidates or sorted(
        name for name in texts if "label" in name.lower() and "train" not in name.lower()
    )
    if len(candidates) > 1:
        raise DataError(
            f"{where}: {', '.join(candidates)} may all label {split}: keep only one of them there"
        )
    if any("ground_truth" in name for name in candidates):
        raise DataError(
            f"{where}: the ids in {candidates[0]} need the devkit's meta.mat to be understood: put it beside"
        )
    return candidates[0] if candidates else None


def read_labels(text: str, photos: Sequence[str], classes: Sequence[Class], where: str) -> Labels:
    """(len(photos),) labels of the photos (sorted file names); DataError if the text has none for one."""
    rows = _rows(text)
    label_of = {each.wnid: label for label, each in enumerate(classes)}
    label_of |= {str(label): label for label in range(len(classes)) if str(label) not in label_of}
    if all(len(row) == 1 for row in rows):
        return labels_in_order([row[0] for row in rows], photos, label_of, where)
    by_name = {_stem(row[0]): row[1].split()[0] for row in rows if len(row) > 1 and row[1].strip()}
    unlabeled = [photo for photo in photos if _stem(photo) not in by_name]
    if unlabeled:
        raise DataError(f"{where} has no label for {len(unlabeled):,} photos such as {unlabeled[0]}")
    return _to_labels([by_name[_stem(photo)] for photo in photos], label_of, where)


def classes_in(text: str, where: str) -> list[Class]:
    """The classes of all WNIDs in a label file, in label order; DataError if it has numbers only."""
    wnids = {word for row in _rows(text) for word in row[min(1, len(row) - 1)].split()[:1] if is_wnid(word)}
    if not wnids:
        raise DataError(
            f"{where} has no WNIDs, and without training photos numbers have no meaning: write WNIDs"
        )
    return classes_from_wnids(in_label_order(wnids))


def labels_in_order(
    words: Sequence[str], photos: Sequence[str], label_of: dict[str, int], where: str
) -> Labels:
    """(len(photos),) labels from a column of words, one for each photo in sorted order."""
    if len(words) != len(photos):
        raise DataError(
            f"{where} has {len(words):,} labels for {len(photos):,} photos: it must name the photos"
        )
    return _to_labels(words, label_of, where)


def _to_labels(words: Sequence[str], label_of: dict[str, int], where: str) -> Labels:
    unknown = sorted({word for word in words if word not in label_of})
    if unknown:
        found = f"{where}: label {unknown[0]!r} is none of the {len(set(label_of.values())):,} classes"
        raise DataError(f"{found}; write WNIDs, or numbers from 0 in the order of the sorted WNIDs")
    return np.array([label_of[word] for word in words], dtype=np.int32)


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    if any("," in line for line in lines):
        return [row for row in csv.reader(lines) if row]
    if any("\t" in line for line in lines):
        return [line.split("\t") for line in lines]
    return [line.split(maxsplit=1) for line in lines]


def _stem(name: str) -> str:
    return PurePosixPath(name.strip()).stem
