"""Comparison of runs with each other and with published results: errors, localization, detection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet import published, recipes
from alexnet.data.classes import imagenet_classes
from alexnet.errors import AlexNetError, CommandError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import paired_interval, true_ranks
from alexnet.published import overfeat
from alexnet.published.alexnet import GAINS, TABLE_1, TABLE_2
from alexnet.published.rows import BoxRow
from alexnet.report.evaluation_tables import (
    BALANCED,
    BASELINE_TITLES,
    TRAINING_COLUMNS,
    TRAINING_NOTE,
    averaged,
    balanced_design,
    data_of,
    detection_views,
    measures_table,
    training_cells,
    unreadable_notes,
)
from alexnet.report.tables import ABSENT, Table, percent, rate, signed, with_interval
from alexnet.runs import predictions
from alexnet.runs.metrics_log import TrainingEnd, training_end
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import stale_note
from alexnet.runs.results import DetectionResult, EvalResult, LocalizationResult, read_results
from alexnet.runs.run_dir import RunDir, is_ensemble, members_of, model_name, why_no_run


@dataclass(frozen=True, eq=False)
class PredictionErrors:
    """The images of a split that an evaluation got wrong; two evaluations are compared by these."""

    store_digest: str
    split: str
    keys: npt.NDArray[np.str_]
    wrong: npt.NDArray[np.bool_]
    """(N,) whether the most probable class is not the true one."""

    def same_images(self, other: PredictionErrors) -> bool:
        """Whether both are of the same images in the same order."""
        mine, theirs = (self.store_digest, self.split), (other.store_digest, other.split)
        return mine == theirs and np.array_equal(self.keys, other.keys)

    def reduction(self, other: PredictionErrors) -> tuple[float, tuple[float, float]]:
        """This error rate minus the other's, with its paired 95 % interval."""
        return float(self.wrong.mean() - other.wrong.mean()), paired_interval(self.wrong, other.wrong)


def prediction_errors(path: Path, result: EvalResult) -> PredictionErrors | None:
    """The errors behind a result in the `evaluation.json` of a run's or an ensemble's folder.

    None if the predictions no longer exist, are not those that were evaluated, or are not of classes.
    """
    mean = evaluated_predictions(path, result) if result.classifies else None
    if mean is None:
        return None
    wrong = true_ranks(mean.probabilities, mean.labels) > 0
    return PredictionErrors(mean.store_digest, mean.split, mean.keys, wrong)


def evaluated_predictions(path: Path, result: EvalResult) -> Predictions | None:
    """The saved predictions behind a result in the `evaluation.json` of a run's or an ensemble's folder.

    None if they no longer exist, or are not those that were evaluated.
    """
    if not path.is_dir():
        return None
    views, checkpoint = str(result.views), result.runs[0].checkpoint
    try:
        members = [
            predictions.load(predictions.path_of(run, result.split, views, checkpoint))
            for run in members_of([path])
        ]
        mean = ensemble.mean(members, result.weights, result.mean or "probabilities")
    except AlexNetError:
        return None
    errors = int((true_ranks(mean.probabilities, mean.labels) > 0).sum())
    same = mean.store_digest == result.store_digest and errors == result.top1_errors
    return mean if same else None


@dataclass(frozen=True)
class ComparisonRow:
    """One row of the comparison; errors are fractions, None if a value is unknown."""

    system: str
    data: str
    views: str
    top1_error: float | None
    top5_error: float | None
    source: str
    published: bool
    top1_interval: Sequence[float] | None = None
    top5_interval: Sequence[float] | None = None
    balanced_error: float | None = None
    """None if all classes have equally many images: it is then the top-1 error."""
    balanced_interval: Sequence[float] | None = None
    images: int | None = None
    epochs: int | None = None
    seeds: Sequence[int] = ()
    trained: Sequence[TrainingEnd | None] = ()
    """How far each of its runs was trained; None where that is unknown, empty for published rows."""
    difference: float | None = None
    """Top-1 error of the first row on the same images (with the same views, or of the same run) minus this
    row's."""
    difference_interval: Sequence[float] | None = None
    """Paired over the same images: much narrower than the errors' own intervals."""
    left_out: int = 0
    """Photos of the split that could not be read, and so were not evaluated."""
    stale: str = ""
    """A note if the run has been trained further since; else empty."""
    result: EvalResult | None = None
    """The evaluation, for our rows."""
    run: str = ""
    """Name of its folder; empty for published rows."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `localization`, `detection` and `measures` as in `evaluation.json`, None if
        there are none.
        """
        values = asdict(replace(self, result=None))
        del values["result"], values["run"]
        found = self.result.to_dict() if self.result else {}
        return values | {key: found.get(key) for key in ("localization", "detection", "measures")}


def published_rows(named: Sequence[str]) -> list[ComparisonRow]:
    """The paper's two tables, and other published results of the systems that the recipes `named` reproduce;
    without the paper's tables if all of these are for digits.
    """
    wanted = [] if _for_digits(named) else [*TABLE_1, *TABLE_2]
    for recipe in named:
        wanted += [row for row in published.rows_of(recipe) if row not in wanted]
    return list(map(_published, wanted))


def published_tables() -> list[Table]:
    """All published results on ImageNet and digits, also those without a recipe; the paper's tables first."""
    columns = ("system", "data", "views", "top-1", "top-5", "our recipe", "source")
    errors = [
        Table(
            columns,
            [
                (
                    *(row.system, row.data, row.views or ABSENT, percent(row.top1), percent(row.top5)),
                    *(row.recipe or ABSENT, row.source),
                )
                for row in rows
            ],
            title=f"Published errors in %: {name}",
        )
        for name, rows in published.RESULTS.items()
    ]
    gains = Table(
        ("ingredient", "top-1 reduction (points)", "top-5 reduction (points)", "source"),
        [(gain.ingredient, percent(gain.top1), percent(gain.top5), gain.source) for gain in GAINS],
        title="Published gains of AlexNet's ingredients",
    )
    boxes = [
        Table(
            ("system", "data", value, "source"),
            [(row.system, row.data, percent(row.value), row.source) for row in rows],
            title=f"Published results: {name}",
            notes=notes,
        )
        for name, value, rows, notes in (
            ("localization", "top-5 localization error %", overfeat.LOCALIZATION, ()),
            ("detection", "mean average precision %", overfeat.DETECTION, (COMPARABLE,)),
        )
    ]
    return [*errors, gains, *boxes]


def comparison_rows(paths: Iterable[Path]) -> list[ComparisonRow]:
    """The evaluations in the directories of runs and ensembles, and in files that `evaluate --out` wrote.

    Each is compared with the first one on the same images that has the same views or run, as long as the
    predictions of both still exist. CommandError if there are no evaluations; DataError if a file is broken.
    """
    rows: list[ComparisonRow] = []
    before: list[tuple[Path, str, PredictionErrors]] = []
    for path in paths:
        for result in results_of(path):
            row = _row(result, path.stem if path.is_file() else model_name(path))
            row = replace(row, trained=_trained(path, result))
            if (path / "config.json").is_file():
                row = replace(row, stale=stale_note(RunDir(path), result))
            errors = prediction_errors(path, result)
            if errors:
                like = (each for where, views, each in before if where == path or views == row.views)
                first = next((each for each in like if each.same_images(errors)), None)
                if first:
                    difference, interval = first.reduction(errors)
                    row = replace(row, difference=difference, difference_interval=interval)
                before.append((path, row.views, errors))
            rows.append(row)
    return rows


def results_of(path: Path) -> list[EvalResult]:
    """The results in the `evaluation.json` of a folder, or in a file; errors as `comparison_rows`."""
    if not path.exists():
        raise CommandError(f"there is no run at {path}: type the directory of a run or of an ensemble")
    results = read_results(path)
    if not results and path.is_dir() and not (path / "config.json").is_file() and not is_ensemble(path):
        raise CommandError(why_no_run(path))
    if not results:
        raise CommandError(f"{path} has no evaluation.json; type alexnet evaluate {path} --store STORE")
    return results


def recipes_of(rows: Iterable[ComparisonRow]) -> list[str]:
    """The distinct recipes of our rows."""
    ours = (row for row in rows if not row.published)
    recipes_of_row = ([run.recipe for run in row.result.runs] if row.result else [row.system] for row in ours)
    return list(dict.fromkeys(name for names in recipes_of_row for name in names))


COMPARABLE = "Results are comparable only on the same data with the same views."
REDUCTION = (
    "Reduction: compared with the first of your rows that has the same images and views; else with the first "
    "row of the same run that has the same images."
)
COLUMNS = (
    *("system", "data", "views", "top-1", "top-1 reduction (points)", "top-5", "balanced", "images"),
    *("epochs", *TRAINING_COLUMNS, "seed", "source"),
)


def comparable_rows(ours: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """`published_rows` of the same recipes if some of ours `are_of_imagenet`, or all are of digits; else
    none.
    """
    named = recipes_of(ours)
    return published_rows(named) if _for_digits(named) or are_of_imagenet(ours) else []


def are_of_imagenet(ours: Iterable[ComparisonRow]) -> bool:
    """Whether one of the rows is of ImageNet's 1,000 classes. Errors on other photos, also of some of these
    classes, cannot be compared with published ones.
    """
    wnids = {each.wnid for each in imagenet_classes()}
    return any({each.wnid for each in row.result.per_class} == wnids for row in ours if row.result)


def comparison(ours: Sequence[ComparisonRow], theirs: Sequence[ComparisonRow]) -> Table:
    """Published rows above ours, errors in percent, without columns that no row fills."""
    above = "published above the line, your runs below it" if theirs else "your runs"
    compared = any(row.difference is not None for row in ours)
    trained = any(end is not None for row in ours for end in row.trained)
    table = Table(
        columns=COLUMNS,
        rows=[*map(_cells, theirs), *([()] if theirs else []), *map(_cells, ours)],
        title=f"Errors in %: {above}",
        numeric=frozenset({"images", "epochs", *TRAINING_COLUMNS, "seed"}),
        notes=(
            "95 % intervals in parentheses: over the evaluated images, not over seeds.",
            *([REDUCTION] if compared else []),
            *([TRAINING_NOTE] if trained else []),
            *([BALANCED] if any(row.balanced_error is not None for row in ours) else []),
            COMPARABLE,
            *(f"{note}: evaluate it again." for note in dict.fromkeys(row.stale for row in ours) if note),
            *unreadable_notes({row.data: row.left_out for row in ours}),
        ),
    )
    return table.without_empty_columns()


def task_tables(ours: Sequence[ComparisonRow]) -> list[Table]:
    """What runs that do not only classify were trained for: localization and detection, below published
    results if ours `are_of_imagenet`, and the measures of other tasks.
    """
    measured = [row.result for row in ours if row.result and row.result.measures]
    return [*_box_tables(ours), *map(measures_table, measured)]


def _box_tables(ours: Sequence[ComparisonRow]) -> list[Table]:
    localized: list[tuple[str, ...]] = []
    detected: list[tuple[str, ...]] = []
    for row in ours:
        if row.result and row.result.localization:
            cells = (row.views, *localization_cells(row.result))
            localized.append((row.system, row.data, *cells, row.source))
        if row.result and row.result.detection:
            cells = (detection_views(row.result.views), *detection_cells(row.result))
            detected.append((row.system, row.data, *cells, row.source))
    comparable = are_of_imagenet(ours)
    title = "published above the line, your runs below it" if comparable else "your runs"
    tables = (
        ("Localization", LOCALIZATION_COLUMNS, localized, overfeat.LOCALIZATION, LOCALIZATION_NOTE),
        ("Detection", DETECTION_COLUMNS, detected, overfeat.DETECTION, DETECTION_NOTE),
    )
    return [
        Table(
            columns=("system", "data", "views", *columns, "source"),
            rows=[
                *((*(_published_box(row, len(columns)) for row in theirs), ()) if comparable else ()),
                *dict.fromkeys(rows),
            ],
            title=f"{what}: {title}",
            numeric=BOX_NUMERIC,
            notes=[note],
        )
        for what, columns, rows, theirs, note in tables
        if rows
    ]


LOCALIZATION_COLUMNS = (
    *("top-5 localization error %", *BASELINE_TITLES.values(), "top-5 error of classes alone %"),
    *("top-1 localization error %", "images"),
)
DETECTION_COLUMNS = ("mean average precision %", "windows with perfect labels %", "objects", "images")
BOX_NUMERIC = frozenset((*LOCALIZATION_COLUMNS[-3:], *DETECTION_COLUMNS))
LOCALIZATION_NOTE = (
    "Correct: one of the five predictions has the true class and a box with an IoU of at least 0.5 with the "
    "object's. The three baselines use the same five classes with boxes that ignore the photo. In "
    "parentheses: 95 % intervals."
)
DETECTION_NOTE = (
    "Windows with perfect labels: the precision of the model's sliding windows, taken as boxes, if each had "
    "the label of the object it shows. What is above that is due to box regression."
)


def localization_cells(result: EvalResult) -> list[str]:
    """The cells of `LOCALIZATION_COLUMNS`; the result has a localization."""
    assert result.localization is not None
    found: LocalizationResult = result.localization
    boxes = (found, *(found.baselines[name] for name in BASELINE_TITLES))
    return [
        *(rate(each.rate(each.top5_localization_errors)) for each in boxes),
        percent(found.top5_errors and found.top5_errors / found.images),
        percent(found.top1_localization_errors / found.images),
        f"{found.images:,}",
    ]


def detection_cells(result: EvalResult) -> list[str]:
    """The cells of `DETECTION_COLUMNS`; the result has a detection."""
    assert result.detection is not None
    found: DetectionResult = result.detection
    return [
        *(percent(found.mean_average_precision), percent(found.precision_of_windows)),
        *(f"{found.objects:,}", f"{found.images:,}"),
    ]


def published_beside(ours: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """The published rows that are shown with ours: `comparable_rows`, or without our own rows all of them."""
    return comparable_rows(ours) if ours else list(map(_published, published.ROWS))


def comparison_json(ours: Sequence[ComparisonRow]) -> dict[str, list[dict[str, Any]]]:
    """The same rows for JSON, errors and precisions as fractions in [0, 1].

    Without our own rows, all published results; otherwise the rows that `comparison` and `task_tables` show.
    """
    theirs = published_beside(ours)
    results = [row.result for row in ours if row.result]
    comparable = are_of_imagenet(ours)
    localized = not ours or (comparable and any(each.localization for each in results))
    detected = not ours or (comparable and any(each.detection for each in results))
    return {
        "published": [row.to_dict() for row in theirs],
        "published_localization": [asdict(row) for row in overfeat.LOCALIZATION if localized],
        "published_detection": [asdict(row) for row in overfeat.DETECTION if detected],
        "runs": [row.to_dict() for row in ours],
    }


def _for_digits(named: Sequence[str]) -> bool:
    """Whether there are recipes and all of them are for gray images."""
    known = [recipes.get(name) for name in named if name in recipes.names()]
    return len(known) == len(named) > 0 and all(config.data.channels == 1 for config in known)


def _published(row: published.PublishedRow) -> ComparisonRow:
    return ComparisonRow(row.system, row.data, row.views, row.top1, row.top5, row.source, published=True)


def _row(result: EvalResult, name: str) -> ComparisonRow:
    runs = result.runs
    recipe = " + ".join(dict.fromkeys(run.recipe for run in runs))
    epochs = {run.epochs for run in runs}
    top1, top5 = (result.top1, result.top5) if result.classifies else (None, None)
    balanced = result.balanced if result.classifies and not balanced_design(result) else None
    best = ", best checkpoint" if any(run.checkpoint != "last" for run in runs) else ""
    return ComparisonRow(
        system=recipe if len(runs) == 1 else f"{len(runs)} x {recipe}",
        data=data_of(result),
        views=str(result.views),
        top1_error=top1 and top1.error,
        top5_error=top5 and top5.error,
        top1_interval=top1 and top1.interval,
        top5_interval=top5 and top5.interval,
        balanced_error=balanced and balanced.error,
        balanced_interval=balanced and balanced.interval,
        images=result.images,
        epochs=epochs.pop() if len(epochs) == 1 else None,
        seeds=[run.seed for run in runs if run.seed is not None],
        source=f"{name}, {'one run' if len(runs) == 1 else averaged(result)}{best}",
        published=False,
        left_out=len(result.left_out),
        result=result,
        run=name,
    )


def _trained(path: Path, result: EvalResult) -> tuple[TrainingEnd | None, ...]:
    """How far each run behind a result was trained; None for each where `path` is a file without logs."""
    if not path.is_dir():
        return (None,) * len(result.runs)
    # An ensemble or a fit may have other models by now.
    places = [path / run.run if is_ensemble(path) else path for run in result.runs]
    logs = [RunDir(place).metrics_file for place in places]
    return tuple(training_end(log, run.updates) for log, run in zip(logs, result.runs, strict=True))


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    return (
        row.system,
        row.data,
        row.views or ABSENT,
        with_interval(row.top1_error, row.top1_interval),
        signed(row.difference, row.difference_interval),
        with_interval(row.top5_error, row.top5_interval),
        with_interval(row.balanced_error, row.balanced_interval),
        f"{row.images:,}" if row.images else ABSENT,
        ABSENT if row.epochs is None else str(row.epochs),
        *training_cells(row.trained),
        ", ".join(map(str, row.seeds)) or ABSENT,
        row.source,
    )


def _published_box(row: BoxRow, columns: int) -> tuple[str, ...]:
    """Cells with the value in the first of this number of columns."""
    return (row.system, row.data, ABSENT, percent(row.value), *(ABSENT,) * (columns - 1), row.source)
