"""Predictions in the format of the challenge: one line per photo with five ILSVRC ids, the most probable
first.

The lines are in the order of the photos' official names, so a missing one would shift all that follow. The
ids are those of the development kit, from 1, in their own order: classes are matched by WNID only.
Source: development kit of ILSVRC-2012, readme.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class, label_map
from alexnet.data.sources.devkit import Devkit, OfficialName, official_name
from alexnet.data.store import Split
from alexnet.errors import DataError
from alexnet.evaluation.metrics import refuse_broken
from alexnet.io import write_whole
from alexnet.published.imagenet import (
    IMAGENET_2010_TEST_IMAGES,
    IMAGENET_TEST_IMAGES,
    IMAGENET_VALIDATION_IMAGES,
)
from alexnet.runs.predictions import Predictions

GUESSES = 5
_ROWS_AT_ONCE = 1024
"""Number of rows that are sorted together: for 100,000 rows at once the indices alone would take a
gigabyte."""
_OFFICIAL = {
    (2012, "test"): IMAGENET_TEST_IMAGES,
    (2010, "test"): IMAGENET_2010_TEST_IMAGES,
    (2012, "val"): IMAGENET_VALIDATION_IMAGES,
    (2010, "val"): IMAGENET_VALIDATION_IMAGES,
}

Ids = npt.NDArray[np.int64]


def official_count(year: int, split: str) -> int:
    """Number of photos in that year's whole `val` or `test` split; 0 for another split."""
    return _OFFICIAL.get((year, split), 0)


class OfficialPhotos(NamedTuple):
    """A split of ILSVRC's own photos."""

    year: int
    split: str
    """`val` or `test`, from the names of the photos."""
    order: Ids
    """(N,) the position of photo 1, 2, ... N in the store."""

    @property
    def official_count(self) -> int:
        """How many photos the whole set has."""
        return official_count(self.year, self.split)


def photos_of(split: Split) -> OfficialPhotos:
    """The photos of a split by their official names; DataError unless it holds photos 1..N, each once."""
    for left_out in split.manifest.unreadable:
        if left_out.split == split.name:
            raise DataError(
                f"{left_out.key} is not in the store, as it could not be read ({left_out.reason}), but each "
                "photo must have a line: download the archive again, and prepare another store"
            )
    split.verify()
    keys = split.keys()
    names = [name for name in map(official_name, keys) if name]
    if len(names) < len(keys) or not names:
        strange = next((key for key in keys if not official_name(key)), "nothing")
        raise DataError(
            f"split {split.name!r} contains {strange}, but only ILSVRC's photos with their official names "
            f"can be submitted, such as {OfficialName(2012, 'test', 1)}: choose another --split"
        )
    return OfficialPhotos(names[0].year, names[0].split, _order(names))


def _order(names: Sequence[OfficialName]) -> Ids:
    other = next((name for name in names if name[:2] != names[0][:2]), None)
    if other:
        raise DataError(f"{names[0]} and {other} are of two sets, which need separate files")
    numbers = np.array([name.number for name in names])
    order = np.argsort(numbers, kind="stable")
    wrong = np.flatnonzero(numbers[order] != np.arange(1, len(names) + 1))
    if len(wrong):
        expected, found = int(wrong[0]) + 1, int(numbers[order][wrong[0]])
        wanted = OfficialName(names[0].year, names[0].split, expected)
        what = (
            f"{wanted} is missing" if found > expected else f"{wanted._replace(number=found)} is one too many"
        )
        raise DataError(f"{what}: each photo must have a line; prepare the whole archive, and nothing else")
    return order


def ids_of(wnids: Sequence[str], kit: Devkit) -> Ids:
    """(K,) the ILSVRC id of each class.

    DataError if the kit lacks one, where a class stands twice, and for fewer than five classes.
    """
    if len(wnids) < GUESSES:
        raise DataError(f"{len(wnids)} classes are too few for the {GUESSES} different guesses of a line")
    found, known = ([Class(wnid, wnid) for wnid in each] for each in (wnids, kit.wnids))
    return label_map(found, known, f"the model's classes in {kit.path}").astype(np.int64) + 1


def guesses(predictions: Predictions, kit: Devkit) -> Ids:
    """(N, 5) ILSVRC ids of the most probable classes, the best first; ties in the order of their ids, so that
    the result does not depend on the order of the model's classes.

    WorkError if a probability is NaN or Inf.
    """
    refuse_broken(predictions.probabilities)
    ids = ids_of(predictions.classes.tolist(), kit)
    by_id = np.argsort(ids)
    rows = np.empty((len(predictions.probabilities), GUESSES), np.int64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        best = np.argsort(-predictions.probabilities[block][:, by_id], axis=1, kind="stable")
        rows[block] = ids[by_id][best[:, :GUESSES]]
    return rows


def write_submission(path: Path, rows: Ids, kit: Devkit) -> None:
    """Writes one line per row, atomically; errors as `parse_submission`."""
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist())
    parse_submission(text, kit, str(path))
    write_whole(path, text.encode())


def parse_submission(text: str, kit: Devkit, where: str) -> Ids:
    """(N, 5) the ids in a file's text; DataError naming the first line that is not five of the kit's."""
    rows: list[list[int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(" ")
        ids = [int(word) for word in words if word.isascii() and word.isdigit()]
        if len(ids) < len(words) or len(set(ids)) != GUESSES or len(ids) != GUESSES:
            raise DataError(
                f"{where}, line {number}: {line!r} is not {GUESSES} different ids separated by spaces"
            )
        outside = [each for each in ids if not 1 <= each <= len(kit.wnids)]
        if outside:
            raise DataError(f"{where}, line {number}: id {outside[0]} is not in 1 to {len(kit.wnids):,}")
        rows.append(ids)
    if not rows:
        raise DataError(f"{where} holds no line")
    return np.array(rows, np.int64)


def count_missed(rows: Ids, truth: Sequence[str], kit: Devkit, where: str) -> int:
    """Number of lines without the true class (a WNID); DataError if the counts differ."""
    if len(rows) != len(truth):
        raise DataError(f"{where} has {len(rows):,} lines for {len(truth):,} photos whose labels are known")
    numbers = {wnid: number for number, wnid in enumerate(kit.wnids, start=1)}
    right = (rows == np.array([numbers[wnid] for wnid in truth])[:, None]).any(axis=1)
    return int((~right).sum())
