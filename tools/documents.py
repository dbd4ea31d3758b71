"""Tables and figures of README and docs, made from `results/`: `python -m tools.documents [--check]`.

A table is placed between `<!-- table: NAME -->` and `<!-- end -->`; no number in it is typed by hand. A text
made from the code is placed between `<!-- text: NAME -->` and `<!-- end -->`. A
figure is placed between `<!-- picture: NAME -->` and `<!-- end -->`; its PNG and SVG are in `docs/images`,
and are written again if its description changes.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from alexnet.experiments.claims import CLAIMS
from alexnet.report.claims import claims, claims_in_short
from alexnet.report.plots.output import KEPT_SUFFIXES, save
from alexnet.report.tables import Table
from tools import (
    attacks,
    classic,
    file_reference,
    lecture,
    own_photos,
    paper_tables,
    reference,
    result_tables,
    scaling,
    views,
    whole_tiny,
    why_so_long,
)
from tools.star_course import star_course
from tools.what_came_after import what_came_after

_PLACE = re.compile(r"(<!-- (table|picture|text): ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_IMAGES = Path("docs", "images")

TABLES: dict[str, Callable[[Path], Table]] = {
    "imagenette": result_tables.imagenette,
    "table-1": paper_tables.table_1,
    "table-2": paper_tables.table_2,
    "views-gain": views.views_gain,
    "views-cost": views.views_cost,
    "whole-tiny": whole_tiny.whole_tiny,
    "what-came-after": what_came_after,
    "localization": result_tables.localization,
    "objects": result_tables.detection,
    "detection-steps": result_tables.detection_steps,
    "star-course": star_course,
    "growth": result_tables.growth,
    "claims": claims,
    "claims-in-short": claims_in_short,
    **{f"claim-{claim.id}": partial(claims, only=claim.id) for claim in CLAIMS},
    "lecture-winners": lecture.winners,
    "lecture-bounds": lecture.bounds,
    "lecture-vgg": lecture.vgg_normalization,
    "lecture-masks": lecture.masks,
    "benchmarks": result_tables.benchmarks,
    "experiments-modern": partial(result_tables.experiments, "alexnet-modern", "ten crops"),
    "experiments-lenet": partial(result_tables.experiments, "lenet", "center"),
    "scaling-counts": scaling.counts,
    "scaling-limits": scaling.limits,
    "scaling-reached": scaling.reached,
    "scaling-photos": scaling.photos,
    "digits": result_tables.digits,
    "classic-channels": classic.channels,
    "classic-stages": classic.stages,
    "classic-needs": classic.needs,
    "caltech-101": classic.caltech_101,
    "attacks": attacks.attacks,
    "own-photos": own_photos.rivals,
    "own-photos-candidates": own_photos.by_photos,
    "own-photos-training": own_photos.training,
    "own-photos-labels": own_photos.wrong_labels,
    "why-nets": why_so_long.nets,
    "why-machines": why_so_long.machines,
    "why-images": why_so_long.by_images,
    "why-classes": why_so_long.by_classes,
}


TEXTS: dict[str, Callable[[], str]] = {
    "commands": reference.commands,
    "recipes": reference.recipe_tables,
    "keys": reference.keys,
    "interface": reference.interface,
    "files": file_reference.files,
}
"""Texts made from the code."""


PICTURES: dict[str, Callable[[Path], tuple[Figure, str]]] = {
    "why-so-long": why_so_long.picture,
    "whole-tiny": whole_tiny.picture,  # for results.md, when something is recorded
    "own-photos-candidates": own_photos.picture,
    "response-norm": lecture.response_norm_picture,
    "contest": lecture.contest_picture,
    "model-averaging": lecture.masks_picture,
}
"""Figures, each with its description."""


def refreshed(path: Path, root: Path) -> tuple[str, dict[str, Figure]]:
    """A document's text with its tables from `results`, and the figures that must be written."""
    drawn: dict[str, Figure] = {}
    before, where = path.read_text(), os.path.relpath(root / _IMAGES, path.parent)
    results = os.path.relpath(root / "results", path.parent)

    def made(found: re.Match[str]) -> str:
        begin, kind, name, end = found.groups()
        if kind == "table":
            table = TABLES[name](root / "results").markdown()
            return begin + table.replace("](results/", f"]({results}/") + end
        if kind == "text":
            return f"{begin}\n{TEXTS[name]()}\n{end}"
        figure, alt_text = PICTURES[name](root / "results")
        whole = f"{begin}![{alt_text}]({where}/{name}.png)\n{end}"
        if whole != found[0] or not all(
            (root / _IMAGES / f"{name}{form}").is_file() for form in KEPT_SUFFIXES
        ):
            drawn[name] = figure
        return whole

    return _PLACE.sub(made, before), drawn


def refresh(root: Path) -> list[Path]:
    """Writes the tables and figures of all documents; returns the documents that changed."""
    changed: list[Path] = []
    for path in documents(root):
        after, drawn = refreshed(path, root)
        for name, figure in drawn.items():
            for form in KEPT_SUFFIXES:
                save(figure, root / _IMAGES / f"{name}{form}")
        if after != path.read_text():
            path.write_text(after)
            changed.append(path)
    return changed


def stale(root: Path) -> list[Path]:
    """The documents whose tables or figures differ from `results`."""
    made = {path: refreshed(path, root) for path in documents(root)}
    return [path for path, (after, drawn) in made.items() if drawn or after != path.read_text()]


def documents(root: Path) -> Iterator[Path]:
    """The Markdown documents that may hold tables and figures."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def main() -> int:
    """Exit code 1 if `--check` finds a stale document."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the project's folder")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a document is stale")
    arguments = parser.parse_args()
    if not arguments.check:
        refresh(arguments.root)
        return 0
    old = stale(arguments.root)
    for path in old:
        print(f"{path}: its tables differ from results/; run python -m tools.documents")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
