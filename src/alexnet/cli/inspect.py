"""`alexnet inspect SOURCE`: what is there, before anything is made of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alexnet.data.inspect import Inspection, SplitFacts

NAMED = 10
"""Photos of one kind, and strays, that are named on the screen; --json names all."""


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Photos in any known form.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that names all.")] = False,
) -> None:
    """Count classes and photos and list every odd or unreadable one; decodes all and changes nothing."""
    from alexnet.cli.progress import progress_bar
    from alexnet.data.inspect import inspect
    from alexnet.data.sources import open_source

    # As it was found: a validation split is held out by `prepare` only.
    opened = open_source(source, val_fraction=0)
    photos = sum(len(split) for split in opened.splits.values())
    with progress_bar("inspecting", photos, unit="photos", silent=as_json) as advance:
        inspection = inspect(opened, progress=advance)
    if as_json:
        sys.stdout.write(json.dumps(inspection.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(described(inspection)) + "\n")


def described(inspection: Inspection) -> list[str]:
    """The inspection in lines of text."""
    lines = [f"{inspection.path}: {inspection.form}; {inspection.label_order}"]
    for name, facts in inspection.splits.items():
        lines += _split_lines(name, facts)
    lines += beside_ilsvrc(inspection.missing_of_ilsvrc or {})
    for name, whole in inspection.published_bytes.items():
        lines.append(f"{name}: {'the published bytes' if whole else 'NOT the published bytes'} by its MD5")
    lines += _named("left out", inspection.strays)
    if "val" not in inspection.splits:
        lines.append("no val: prepare holds out a share of each class (--val-fraction)")
    return lines


def beside_ilsvrc(missing: Mapping[str, int]) -> list[str]:
    """A line for each split: how many photos it has fewer, or more, than ILSVRC-2012."""
    words = {
        name: f"{abs(count):,} photos {'fewer' if count > 0 else 'more'} than"
        if count
        else "as many photos as"
        for name, count in missing.items()
    }
    return [f"{name}: {text} ILSVRC-2012 has" for name, text in words.items()]


def _split_lines(name: str, facts: SplitFacts) -> list[str]:
    (fewest, least), (most, largest) = facts.smallest_class, facts.largest_class
    boxes = f", {facts.boxes:,} boxes" if facts.boxes else ""
    spread = f"{least:,} ({fewest}) to {largest:,} ({most})" if least < largest else f"{least:,}"
    of_a_class = f"{spread} a class" if facts.unlabeled < facts.photos else "without labels"
    lines = [f"{name}: {facts.photos:,} photos{boxes}; {of_a_class}"]
    if facts.shorter_side_pixels:
        sides = (facts.shorter_side_pixels, facts.longer_side_pixels)
        least_side, _, median, _, most_side = zip(*sides, strict=True)
        told = f"{_by(median)} in the median, {_by(least_side)} at least, {_by(most_side)} at most"
        lines.append(f"  shorter by longer side in pixels: {told}")
    for kind, keys in sorted(facts.odd.items()):
        lines += _named(f"  {kind}", keys) if len(keys) < facts.photos else [f"  all are {kind}"]
    reasons = [f"{key} ({reason})" for key, reason in facts.unreadable.items()]
    return lines + _named("  unreadable", reasons)


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"


def _named(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    rest = f" and {len(names) - NAMED:,} more (--json names all)" if len(names) > NAMED else ""
    return [f"{what}: {len(names):,}: {', '.join(names[:NAMED])}{rest}"]
