"""Which images an evaluation got wrong, from saved predictions: what two of them are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet import published, recipes
from alexnet.errors import AlexNetError, CommandError, DataError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import paired_interval, true_ranks
from alexnet.report.evaluation_tables import averaged, not_tested
from alexnet.report.tables import Table, signed, with_interval
from alexnet.runs import predictions
from alexnet.runs.provenance import stale_note
from alexnet.runs.results import read_evaluations
from alexnet.runs.run_dir import RunDir, is_ensemble, members_of, why_no_run


@dataclass(frozen=True, eq=False)
class Answers:
    """What was asked, and which answers were wrong."""

    store_digest: str
    split: str
    keys: npt.NDArray[np.str_]
    wrong: npt.NDArray[np.bool_]
    """(N,) whether the most probable class is not the true one."""

    def same_images(self, other: Answers) -> bool:
        """Whether both were asked about the same images in the same order."""
        mine, theirs = (self.store_digest, self.split), (other.store_digest, other.split)
        return mine == theirs and np.array_equal(self.keys, other.keys)

    def less(self, other: Answers) -> tuple[float, tuple[float, float]]:
        """This error rate less the other's, and its 95 % interval."""
        return float(self.wrong.mean() - other.wrong.mean()), paired_interval(self.wrong, other.wrong)


def answers_of(path: Path, entry: Mapping[str, Any]) -> Answers | None:
    """The answers behind an entry of the `evaluation.json` in a run's or an ensemble's folder.

    None where the predictions are no longer there, or are not those that were evaluated.
    """
    if not path.is_dir():
        return None
    checkpoint = entry["runs"][0]["checkpoint"]
    try:
        members = [
            predictions.load(predictions.path_of(run, entry["split"], entry["views"], checkpoint))
            for run in members_of([path])
        ]
        mean = ensemble.mean(members, entry.get("weights"), entry.get("mean", "probabilities"))
    except AlexNetError:
        return None
    wrong = true_ranks(mean.probabilities, mean.labels) > 0
    if mean.store_digest != entry["store_digest"] or wrong.sum() != entry["top1_errors"]:
        return None
    return Answers(mean.store_digest, mean.split, mean.keys, wrong)


COLUMNS = (
    *("system", "data", "views", "top-1", "less than the first", "top-5", "images"),
    *("epochs", "seed", "source"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table; errors are fractions, None is what nobody knows."""

    system: str
    data: str
    views: str
    top1_error: float | None
    top5_error: float | None
    top1_interval: Sequence[float] | None
    top5_interval: Sequence[float] | None
    images: int | None
    epochs: int | None
    seeds: Sequence[int]
    source: str
    published: bool
    difference: float | None = None
    """Top-1 error of our first row on the same images (by the same views, or of the same run), less this
    one's."""
    difference_interval: Sequence[float] | None = None
    """Of the same images in both: much narrower than the errors' own intervals."""
    left_out: int = 0
    """Photos of the split that could not be read, and so were not tested."""
    stale: str = ""
    """That the run has gone on since it was tested; empty where it has not."""
    localization: Mapping[str, Any] | None = None
    """Where it says objects are, as in `evaluation.json`; None of a net that says no boxes."""
    detection: Mapping[str, Any] | None = None
    """All objects it finds, as there; None of a net that looks for none."""


def published_rows(named: Sequence[str]) -> list[Row]:
    """The paper's two tables, and what else was published on the systems that the recipes `named` rebuild.

    Where these are all for digits, without the paper's tables.
    """
    wanted = [] if _for_digits(named) else [*published.TABLE_1, *published.TABLE_2]
    for recipe in named:
        wanted += [row for row in published.rows_of(recipe) if row not in wanted]
    return [
        Row(
            system=row.system,
            data=row.data,
            views=row.views,
            top1_error=row.top1,
            top5_error=row.top5,
            top1_interval=None,
            top5_interval=None,
            images=None,
            epochs=None,
            seeds=(),
            source=row.source,
            published=True,
        )
        for row in wanted
    ]


def rows_of(paths: Iterable[Path]) -> list[Row]:
    """The evaluations in run folders and ensembles' folders, and in files that `evaluate --out` wrote.

    Where their predictions are still there, each is compared with the first on the same images that was
    tested by the same views, or is of the same run. CommandError where there are no evaluations; DataError
    where a file is broken.
    """
    rows: list[Row] = []
    before: list[tuple[Path, str, Answers]] = []
    for path in paths:
        for entry in evaluations_of(path):
            row, answers = _row(entry, path.stem if path.is_file() else path.name), answers_of(path, entry)
            if (path / "config.json").is_file():
                row = replace(row, stale=stale_note(RunDir(path), entry))
            if answers:
                like = (each for where, views, each in before if where == path or views == row.views)
                first = next((each for each in like if each.same_images(answers)), None)
                if first:
                    difference, interval = first.less(answers)
                    row = replace(row, difference=difference, difference_interval=interval)
                before.append((path, row.views, answers))
            rows.append(row)
    return rows


def evaluations_of(path: Path) -> list[dict[str, Any]]:
    """The entries of a folder's `evaluation.json`, or those in a file; errors as `rows_of`."""
    if not path.exists():
        raise CommandError(f"there is no {path}: name the folder of a run or of an ensemble")
    entries = read_evaluations(path)
    if not entries and path.is_dir() and not (path / "config.json").is_file() and not is_ensemble(path):
        raise CommandError(why_no_run(path))
    if not entries:
        raise CommandError(f"{path} holds no evaluation.json; type alexnet evaluate {path} --store STORE")
    return entries


def recipes_of(rows: Iterable[Row]) -> list[str]:
    """The recipes behind our rows, each once."""
    return list(dict.fromkeys(row.system for row in rows if not row.published))


def comparison(ours: Sequence[Row]) -> Table:
    """Published rows above ours, errors in percent."""
    theirs = published_rows(recipes_of(ours))
    above = "above the line as published, below it our runs" if theirs else "of our runs"
    return Table(
        columns=COLUMNS,
        rows=[*map(_cells, theirs), *([()] if theirs else []), *map(_cells, ours)],
        title=f"Errors in %, {above}",
        numeric=frozenset({"images", "epochs", "seed"}),
        notes=(
            "In brackets the 95 % interval: of the images tested, not of the luck of a seed.",
            "Less than the first: points of top-1 error below our first row on the same images by the same "
            "views, or of the same run.",
            "Only errors on the same data and views compare.",
            *(f"{said}: evaluate it again." for said in dict.fromkeys(row.stale for row in ours) if said),
            *not_tested({row.data: row.left_out for row in ours}),
        ),
    )


def _for_digits(named: Sequence[str]) -> bool:
    """Whether the recipes, of which there are some, are all for gray images."""
    known = [recipes.get(name) for name in named if name in recipes.names()]
    return len(known) == len(named) > 0 and all(config.data.channels == 1 for config in known)


def as_json(ours: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """The same rows for JSON, errors and precisions as fractions in [0, 1].

    Published localizations and detections are there where some of ours are.
    """
    theirs = published_rows(recipes_of(ours))
    localized = published.overfeat.LOCALIZATION if any(row.localization for row in ours) else ()
    detected = published.overfeat.DETECTION if any(row.detection for row in ours) else ()
    return {
        "published": [asdict(row) for row in theirs],
        "published_localization": [asdict(row) for row in localized],
        "published_detection": [asdict(row) for row in detected],
        "runs": [asdict(row) for row in ours],
    }


def _row(entry: Mapping[str, Any], name: str) -> Row:
    try:
        runs: list[dict[str, Any]] = entry["runs"]
        trained = " + ".join(dict.fromkeys(run["recipe"] for run in runs))
        epochs = {run["epochs"] for run in runs}
        best = ", best checkpoint" if any(run["checkpoint"] != "last" for run in runs) else ""
        return Row(
            system=trained if len(runs) == 1 else f"{len(runs)} x {trained}",
            data=f"{entry['store']} {entry['split']}",
            views=entry["views"],
            top1_error=entry["top1_error"],
            top5_error=entry["top5_error"],
            top1_interval=entry["top1_interval"],
            top5_interval=entry["top5_interval"],
            images=entry["images"],
            epochs=epochs.pop() if len(epochs) == 1 else None,
            seeds=[run["seed"] for run in runs if run["seed"] is not None],
            source=f"{name}, {'one run' if len(runs) == 1 else averaged(entry)}{best}",
            published=False,
            left_out=len(entry.get("left_out", ())),
            localization=entry.get("localization"),
            detection=entry.get("detection"),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"the evaluation of {name} lacks {error}; evaluate it again") from error


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.system,
        row.data,
        row.views or "-",
        with_interval(row.top1_error, row.top1_interval),
        signed(row.difference, row.difference_interval),
        with_interval(row.top5_error, row.top5_interval),
        f"{row.images:,}" if row.images else "-",
        "-" if row.epochs is None else str(row.epochs),
        ", ".join(map(str, row.seeds)) or "-",
        row.source,
    )
