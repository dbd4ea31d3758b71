"""The three splits of `fit`: photos to train on, to choose with, and to report errors on."""

from __future__ import annotations

import dataclasses

from alexnet.data.classes import NO_LABEL
from alexnet.data.findings import after_move
from alexnet.data.sources import Source, SourceSplit, hold_out
from alexnet.data.sources.base import LeftOut, SplitOrigin
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.text import counted, first_few

TRAIN, VALIDATION, TEST = "train", "val", "test"
"""`val` chooses among candidates and nothing else; errors on `test` are reported."""
TEST_FRACTION, VALIDATION_FRACTION = 0.2, 0.2
"""Of each class: what is held out for `test`, and then of the rest for `val`."""
MOST_TEST, MOST_VALIDATION = 5000, 2000
"""Photos that are held out at most, of all classes together: more would take time from the training, and
errors are known to 1.4 and 2.2 points with these.
"""
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
            made if VALIDATION in kept else hold_out(made, _test_fraction(made), group_by), VALIDATION, TEST
        )
    if VALIDATION not in made.splits:
        made = hold_out(made, _validation_fraction(made), group_by)
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


def describe_untested(store: Store) -> list[str]:
    """A line for each split that lacks photos of some classes; none if all classes are in all splits."""
    lines: list[str] = []
    for split, lacks in ((VALIDATION, "no validation photos"), (TEST, "no test photos")):
        present = set(store.split(split).labels.tolist())
        missing = [each.name for label, each in enumerate(store.classes) if label not in present]
        if missing:
            count = counted(len(missing), "class")
            lines.append(
                f"{count} with {lacks}, so errors of these classes are unknown: {first_few(missing, 5)}"
            )
    return lines


def _test_fraction(source: Source) -> float:
    """What is held out of the training photos for `test`."""
    return min(TEST_FRACTION, MOST_TEST / len(source.splits[TRAIN]))


def _validation_fraction(source: Source) -> float:
    """What is held out of the training photos for `val`."""
    photos = len(source.splits[TRAIN])
    fraction = min(max(VALIDATION_FRACTION, ENOUGH_VALIDATION / photos), MAX_VALIDATION_FRACTION)
    return min(fraction, MOST_VALIDATION / photos)


def _renamed(source: Source, old: str, new: str) -> Source:
    """The source with another name for a split, if it has that split."""
    if old not in source.splits:
        return source
    origin = dataclasses.replace(source.origins.get(old, SplitOrigin()), published_as="")
    return dataclasses.replace(
        source,
        splits={new if name == old else name: split for name, split in source.splits.items()},
        origins={new if name == old else name: each for name, each in source.origins.items()} | {new: origin},
        dropped=after_move(source.dropped, old, new),
    )


def _is_labeled(split: SourceSplit) -> bool:
    return len(split) > 0 and not (split.labels == NO_LABEL).any()
