"""Tables and pictures of README and docs, made of `results/`: `python -m tools.documents [--check]`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; no number in it is typed by hand. So does a
picture, between `<!-- picture: NAME -->` and the same; it lies in `docs/images` as PNG and SVG, and is drawn
anew where the words for it change.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from alexnet import published
from alexnet.report import boxes
from alexnet.report.claims import claims, claims_in_short
from alexnet.report.evaluation_tables import growth_table
from alexnet.report.plots.output import FORMS, save
from alexnet.report.tables import ABSENT, Table, percent, percent_interval
from alexnet.runs.metrics_log import training_seconds
from alexnet.runs.results import read_evaluations
from tools import classic, scaling, why_so_long
from tools.star_course import star_course
from tools.table_1 import table_1
from tools.table_2 import table_2, views_gain
from tools.views_cost import views_cost
from tools.what_came_after import what_came_after

_PLACE = re.compile(r"(<!-- (table|picture): ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_IMAGES = Path("docs", "images")


SIDE = 128
"""Of the photos on which recipes are compared."""


def imagenette(results: Path) -> Table:
    """One recorded net of each recipe on Imagenette alone at `SIDE`, best ten-crop error first."""
    runs = [_run(path.parent) for path in sorted(results.glob("imagenette-*/config.json"))]
    runs = [run for run in runs if run["side"] == SIDE and run["seed"] == 0 and not run["fine_tuning"]]
    runs = [run for run in runs if "ten" in run]  # classic pipelines are tested with whole squares
    runs.sort(key=lambda run: run["ten"]["top1_error"])
    rows = [
        [
            f"[`{run['recipe']}`](results/{run['folder']})",
            percent(run["center"]["top1_error"]),
            percent(run["ten"]["top1_error"]),
            percent_interval(run["ten"]["top1_interval"]),
            str(run["epochs"]),
            f"{run['minutes']:.0f}",
            str(run["seed"]),
        ]
        for run in runs
    ]
    columns = (
        *("recipe", "top-1 error %, center crop", "top-1 error %, ten crops", "its 95 % interval"),
        *("epochs", "minutes", "seed"),
    )
    machines = sorted({run["machine"] for run in runs})
    notes = [f"Trained on {' and '.join(machines)}."] if machines else []
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def growth(results: Path) -> Table:
    """What each further net of the recorded 7 CNNs* buys, with ten crops."""
    entries = read_evaluations(results / "imagenette-7-cnns-star")
    ten = [entry for entry in entries if entry["views"] == "ten"]
    return growth_table(ten[0]) if ten else Table(("nets",), [("not recorded yet",)])


def digits(results: Path) -> Table:
    """The recorded runs on MNIST, all seeds of a recipe in a row, beside what was published."""
    recipes: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(results.glob("mnist-*/config.json")):
        run = _run(path.parent)
        recipes.setdefault(run["recipe"], []).append(run)
    if not recipes:
        return Table(("recipe",), [("not recorded yet",)])
    rows = [
        [
            f"[`{recipe}`](results/{runs[0]['folder']})",
            ", ".join(_digits_error(row.top1) for row in published.rows_of(recipe)) or ABSENT,
            _digits_error(fmean(run["center"]["top1_error"] for run in runs)),
            ", ".join(_digits_error(run["center"]["top1_error"]) for run in runs),
            ", ".join(str(run["seed"]) for run in runs),
            f"{fmean(run['minutes'] for run in runs):.0f}",
        ]
        for recipe, runs in sorted(recipes.items())
    ]
    columns = ("recipe", "published error %", "ours: mean %", "each run", "seeds", "minutes a run")
    notes = ["MNIST's 10,000 test digits; the net of 1989 was published with others, from the US mail."]
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def _digits_error(error: float | None) -> str:
    """With the two decimals that 10,000 digits give."""
    return ABSENT if error is None else f"{100 * error:.2f}"


def benchmarks(results: Path) -> Table:
    """Every row of every benchmark's CSV."""
    rows: list[list[str]] = []
    for path in sorted((results / "benchmarks").glob("*.csv")):
        with path.open(newline="") as opened:
            rows += [
                [
                    row["name"],
                    _number(row["value"]),
                    row["unit"],
                    row["peer"] or ABSENT,
                    _number(row["ratio"]),
                    row["target"] or ABSENT,
                ]
                for row in csv.DictReader(opened)
            ]
    columns = ("what", "measured", "unit", "beside", "ratio", "aim")
    return Table(columns, rows, numeric=frozenset(("measured", "ratio", "aim")))


def experiments(name: str, views: str, results: Path) -> Table:
    """What was tried on images held out of the training set, from the CSV of that name."""
    with (results / "experiments" / f"{name}.csv").open(newline="") as opened:
        rows = [
            [
                f"`{row['settings']}`",
                _percent(row["top1_error"]),
                f"{_percent(row['low'])}-{_percent(row['high'])}" if row["low"] else ABSENT,
                row["nll"] or ABSENT,
                _percent(row["training_error"]),
                row["remark"],
            ]
            for row in csv.DictReader(opened)
        ]
    numbers = (f"top-1 error %, {views}", "its 95 % interval", "NLL", "training error % at the end")
    return Table(("settings", *numbers, "what it says"), rows, numeric=frozenset(numbers))


TABLES: dict[str, Callable[[Path], Table]] = {
    "imagenette": imagenette,
    "table-1": table_1,
    "table-2": table_2,
    "views-gain": views_gain,
    "views-cost": views_cost,
    "what-came-after": what_came_after,
    "localization": boxes.localization,
    "objects": boxes.objects,
    "detection-steps": boxes.detection_steps,
    "star-course": star_course,
    "growth": growth,
    "claims": claims,
    "claims-in-short": claims_in_short,
    "benchmarks": benchmarks,
    "experiments-modern": partial(experiments, "alexnet-modern", "ten crops"),
    "experiments-lenet": partial(experiments, "lenet", "center"),
    "scaling-counts": scaling.counts,
    "scaling-limits": scaling.limits,
    "scaling-reached": scaling.reached,
    "scaling-photos": scaling.photos,
    "digits": digits,
    "classic-channels": classic.channels,
    "classic-stages": classic.stages,
    "classic-needs": classic.needs,
    "why-nets": why_so_long.nets,
    "why-machines": why_so_long.machines,
    "why-images": why_so_long.by_images,
    "why-classes": why_so_long.by_classes,
}


PICTURES: dict[str, Callable[[Path], tuple[Figure, str]]] = {"why-so-long": why_so_long.picture}
"""Figures, each with what is seen on it in words."""


def refreshed(path: Path, root: Path) -> tuple[str, dict[str, Figure]]:
    """A document's text with tables and pictures made anew from `results`, and the pictures that differ."""
    drawn: dict[str, Figure] = {}
    before, where = path.read_text(), os.path.relpath(root / _IMAGES, path.parent)
    results = os.path.relpath(root / "results", path.parent)

    def made(found: re.Match[str]) -> str:
        begin, kind, name, end = found.groups()
        if kind == "table":
            table = TABLES[name](root / "results").markdown()
            return begin + table.replace("](results/", f"]({results}/") + end
        figure, seen = PICTURES[name](root / "results")
        whole = f"{begin}![{seen}]({where}/{name}.png)\n{end}"
        if whole != found[0] or not all((root / _IMAGES / f"{name}{form}").is_file() for form in FORMS):
            drawn[name] = figure
        return whole

    return _PLACE.sub(made, before), drawn


def refresh(root: Path) -> list[Path]:
    """Writes the tables and pictures of all documents anew; returns those documents that have changed."""
    changed: list[Path] = []
    for path in documents(root):
        after, drawn = refreshed(path, root)
        for name, figure in drawn.items():
            for form in FORMS:
                save(figure, root / _IMAGES / f"{name}{form}")
        if after != path.read_text():
            path.write_text(after)
            changed.append(path)
    return changed


def stale(root: Path) -> list[Path]:
    """The documents whose tables or pictures are not what `results` gives."""
    made = {path: refreshed(path, root) for path in documents(root)}
    return [path for path, (after, drawn) in made.items() if drawn or after != path.read_text()]


def documents(root: Path) -> Iterator[Path]:
    """The Markdown documents that may hold tables and pictures."""
    yield root / "README.md"
    yield from sorted((root / "docs").glob("*.md"))


def _run(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text())
    environment = json.loads((folder / "environment.json").read_text())
    evaluations = {each["views"]: each for each in read_evaluations(folder)}
    return {
        "folder": folder.name,
        "recipe": config["recipe"],
        "epochs": evaluations["center"]["runs"][0]["epochs"],
        "seed": config["training"]["seed"],
        "side": config["data"]["image_size"],
        "fine_tuning": config["training"].get("fine_tuning", False),
        "minutes": training_seconds(folder / "metrics.jsonl") / 60,
        "machine": f"{environment['device']} of an {environment['processor']}",
        **evaluations,
    }


def _percent(text: str) -> str:
    return percent(float(text)) if text else ABSENT


def _number(text: str) -> str:
    return f"{float(text):.3g}" if text else ABSENT


def main() -> int:
    """Exit code 1 when `--check` finds a document that is stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the project's folder")
    parser.add_argument("--check", action="store_true", help="change nothing, fail when one is stale")
    arguments = parser.parse_args()
    if not arguments.check:
        refresh(arguments.root)
        return 0
    old = stale(arguments.root)
    for path in old:
        print(f"{path}: it is not what results/ gives; run python -m tools.documents")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
