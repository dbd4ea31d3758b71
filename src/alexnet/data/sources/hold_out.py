"""Holds out a validation split where the source has none: a fraction of each class, groups kept together."""

from __future__ import annotations

import dataclasses
import re

from alexnet.data.sources.base import Source, SourceSplit, Subset
from alexnet.data.subset import grouped_split, stratified_split
from alexnet.errors import CommandError


def hold_out(source: Source, fraction: float, group_by: str = "") -> Source:
    """The source with a fraction of each class's training photos as `val`; unchanged if it has a `val`.

    `group_by` is a regular expression over keys: photos with the same first group (or, without groups, the
    same match) stay in one split, and so does each photo that does not match. CommandError for a fraction
    outside [0, 1), an expression that is none or matches nothing, or if no photo can be held out.
    """
    check_fraction(fraction)
    if group_by and ("val" in source.splits or not fraction):
        has = "has a validation split already" if fraction else "has --val-fraction 0"
        raise CommandError(f"{source.path} {has}, so --group-by changes nothing: remove it")
    if "val" in source.splits or "train" not in source.splits or not fraction:
        return source
    photos = source.splits["train"]
    keys = [photos.key(index) for index in range(len(photos))]
    if group_by:
        train, val = grouped_split(_groups(keys, group_by), photos.labels, fraction)
        if not len(val):
            raise CommandError(
                f"--group-by {group_by}: the groups are too large to hold out {fraction:g} of any class; "
                "use a pattern with more groups, a larger --val-fraction, or --val-fraction 0"
            )
    else:
        train, val = stratified_split(keys, photos.labels, fraction)
    splits: dict[str, SourceSplit] = {"train": Subset(photos, train)}
    if len(val):
        splits["val"] = Subset(photos, val)
    return dataclasses.replace(
        source, splits={**source.splits, **splits}, val_fraction=fraction, group_by=group_by
    )


def check_fraction(fraction: float) -> None:
    """CommandError for a fraction outside [0, 1)."""
    if not 0 <= fraction < 1:
        raise CommandError(f"a validation fraction of {fraction} is not in [0, 1)")


def _groups(keys: list[str], pattern: str) -> list[str]:
    """The name of each photo's group."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CommandError(f"--group-by {pattern} is not a regular expression: {error}") from error
    found = [compiled.search(key) for key in keys]
    if not any(found):
        raise CommandError(f"--group-by {pattern} matches no photo; their keys are such as {keys[0]}")
    # A photo of no group is its own; the prefixes keep its key from being the name of a group.
    return [
        f"photo {key}" if match is None else f"group {match[1] if compiled.groups else match[0]}"
        for key, match in zip(keys, found, strict=True)
    ]
