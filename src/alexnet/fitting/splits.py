"""The three splits of `fit`: photos to train on, to choose with, and to report errors on."""

from __future__ import annotations

import dataclasses

from alexnet.data.classes import NO_LABEL
from alexnet.data.sources import Source, SourceSplit, hold_out
from alexnet.data.sources.base import LeftOut
from alexnet.errors import CommandError, DataError
from alexnet.text import counted

TRAIN, CHOICE, TEST = "train", "val", "test"
"""`val` chooses among candidates and nothing else; errors on `test` are reported."""
TEST_FRACTION, CHOICE_FRACTION = 0.2, 0.2
"""Of each class: what is held out for `test`, and then of the rest for `val`."""


def with_three_splits(source: Source, group_by: str = "") -> Source:
    """The source with labeled `train`, `val` and `test`; photos without a label are left out.

    The source's own labeled splits stay what they are; a single one besides `train` becomes `test`. What is
    missing is held out of `train`, of each class the same fraction; `group_by` as for `hold_out`. DataError
    if there are no labeled training photos, or too few to hold any out.
    """
    labeled = {name: split for name, split in source.splits.items() if _is_labeled(split)}
    if TRAIN not in labeled:
        raise DataError(f"{source.path} has no labeled training photos: name them with --splits train=DIR")
    own = [labeled[name] for name in (TEST, CHOICE) if name in labeled]
    if group_by and len(own) == 2:
        raise CommandError(f"{source.path} has all splits already, so --group-by changes nothing: remove it")
    rest = dataclasses.replace(source, splits={TRAIN: labeled[TRAIN]})
    if not own:
        rest = hold_out(rest, TEST_FRACTION, group_by)
        own = [rest.splits[CHOICE]] if CHOICE in rest.splits else []
        rest = dataclasses.replace(rest, splits={TRAIN: rest.splits[TRAIN]})
    splits = rest.splits
    if len(own) == 1:
        splits = hold_out(rest, CHOICE_FRACTION, group_by).splits
    if not own or (len(own) == 1 and CHOICE not in splits):
        raise DataError(
            f"{source.path} has too few photos to hold some out for a test: add some, three or more per class"
        )
    choice = own[1] if len(own) == 2 else splits[CHOICE]
    unlabeled = [
        LeftOut(
            f"{name} ({counted(len(split), 'photo')})", "without labels; `alexnet predict` classifies them"
        )
        for name, split in source.splits.items()
        if name not in labeled
    ]
    return dataclasses.replace(
        source,
        splits={TRAIN: splits[TRAIN], CHOICE: choice, TEST: own[0]},
        val_fraction=0.0 if len(own) == 2 else CHOICE_FRACTION,
        group_by=group_by,
        left_out=[*source.left_out, *unlabeled],
    )


def _is_labeled(split: SourceSplit) -> bool:
    return len(split) > 0 and not (split.labels == NO_LABEL).any()
