"""The three splits of `fit`: photos to train on, to choose with, and to report errors on."""

from __future__ import annotations

import dataclasses

from alexnet.data.classes import NO_LABEL
from alexnet.data.sources import Source, SourceSplit, hold_out
from alexnet.data.sources.base import LeftOut, SplitOrigin
from alexnet.errors import CommandError, DataError
from alexnet.text import counted

TRAIN, VALIDATION, TEST = "train", "val", "test"
"""`val` chooses among candidates and nothing else; errors on `test` are reported."""
TEST_FRACTION, VALIDATION_FRACTION = 0.2, 0.2
"""Of each class: what is held out for `test`, and then of the rest for `val`."""
ENOUGH_VALIDATION, MAX_VALIDATION_FRACTION = 100, 0.4
"""Number of photos that `val` gets of small sets, and at most this fraction: fewer choose at random, and the
refit uses them for training anyway."""


def with_three_splits(source: Source, group_by: str = "") -> Source:
    """The source with labeled `train`, `val` and `test`; photos without a label are left out.

    The source's own labeled splits stay what they are; a single one besides `train` becomes `test`. What is
    missing is held out of `train`, of each class the same fraction; `group_by` as for `hold_out`. DataError
    if there are no labeled training photos, or too few to hold any out.
    """
    labeled = {name: split for name, split in source.splits.items() if _is_labeled(split)}
    if TRAIN not in labeled:
        raise DataError(f"{source.path} has no labeled training photos: name them with --splits train=DIR")
    if TEST in labeled and VALIDATION in labeled and group_by:
        raise CommandError(f"{source.path} has all splits already, so --group-by changes nothing: remove it")
    kept = {name: split for name, split in labeled.items() if name in (TRAIN, VALIDATION, TEST)}
    made = dataclasses.replace(source, splits=kept)
    if TEST not in kept:  # what the source has as `val` is tested on, since only `fit` chooses
        made = _renamed(
            made if VALIDATION in kept else hold_out(made, TEST_FRACTION, group_by), VALIDATION, TEST
        )
    if VALIDATION not in made.splits:
        made = hold_out(made, _validation_fraction(len(made.splits[TRAIN])), group_by)
    if not {VALIDATION, TEST} <= set(made.splits):
        raise DataError(
            f"{source.path} has too few photos to hold some out for a test: add some, four or more per class"
        )
    unlabeled = [
        LeftOut(
            f"{name} ({counted(len(split), 'photo')})", "without labels; `alexnet predict` classifies them"
        )
        for name, split in source.splits.items()
        if name not in labeled
    ]
    return dataclasses.replace(
        made,
        splits={name: made.splits[name] for name in (TRAIN, VALIDATION, TEST)},
        origins={name: origin for name, origin in made.origins.items() if name in made.splits},
        left_out=[*source.left_out, *unlabeled],
    )


def _validation_fraction(photos: int) -> float:
    """What is held out of this number of training photos."""
    return min(max(VALIDATION_FRACTION, ENOUGH_VALIDATION / photos), MAX_VALIDATION_FRACTION)


def _renamed(source: Source, old: str, new: str) -> Source:
    """The source with another name for a split, if it has that split."""
    if old not in source.splits:
        return source
    origin = dataclasses.replace(source.origins.get(old, SplitOrigin()), published_as="")
    return dataclasses.replace(
        source,
        splits={new if name == old else name: split for name, split in source.splits.items()},
        origins={new if name == old else name: each for name, each in source.origins.items()} | {new: origin},
    )


def _is_labeled(split: SourceSplit) -> bool:
    return len(split) > 0 and not (split.labels == NO_LABEL).any()
