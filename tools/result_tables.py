"""Tables of recorded runs, benchmarks and experiments, from the files under `results/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from alexnet import published
from alexnet.config import RunConfig
from alexnet.report.comparison import (
    BOX_NUMERIC,
    DETECTION_COLUMNS,
    DETECTION_NOTE,
    LOCALIZATION_COLUMNS,
    LOCALIZATION_NOTE,
    detection_cells,
    localization_cells,
)
from alexnet.report.evaluation_tables import (
    TRAINING_COLUMNS,
    TRAINING_NOTE,
    data_of,
    growth_table,
    training_cells,
)
from alexnet.report.tables import ABSENT, Table, percent, percent_interval
from alexnet.runs.metrics_log import training_end, training_seconds
from alexnet.runs.results import EvalResult
from alexnet.runs.run_dir import RunDir
from tools.recorded_state import stale_notes
from tools.results_io import NOT_RECORDED, by_views, read_csv, training

IMAGE_SIZE = 128
"""Size of the photos on which recipes are compared."""


@dataclass(frozen=True)
class _Run:
    """A recorded run with its evaluations by views."""

    folder: Path
    config: RunConfig
    results: dict[str, EvalResult]

    @property
    def link(self) -> str:
        """Its recipe, as a link to its folder."""
        return f"[`{self.config.recipe}`](results/{self.folder.name})"

    @property
    def minutes(self) -> float:
        """Minutes of training."""
        return training_seconds(self.folder / "metrics.jsonl") / 60

    @property
    def machine(self) -> str:
        """The machine on which it was trained."""
        made = RunDir(self.folder).environment()
        return f"{made.device} of an {made.processor}"


def _runs(results: Path, pattern: str) -> list[_Run]:
    folders = sorted(path.parent for path in results.glob(f"{pattern}/config.json"))
    return [_Run(folder, RunDir(folder).config(), by_views(folder)) for folder in folders]


def imagenette(results: Path) -> Table:
    """One recorded run of each recipe on Imagenette alone at `IMAGE_SIZE`, best ten-crop error first."""
    runs = [
        run
        for run in _runs(results, "imagenette-*")
        if run.config.data.image_size == IMAGE_SIZE
        and run.config.training.seed == 0
        and not run.config.training.fine_tuning
        and "ten" in run.results  # classic pipelines are evaluated with whole squares
    ]
    runs.sort(key=lambda run: run.results["ten"].top1.error)
    rows = [
        [
            run.link,
            percent(run.results["center"].top1.error),
            percent(run.results["ten"].top1.error),
            percent_interval(run.results["ten"].top1.interval),
            str(run.results["center"].runs[0].epochs),
            f"{run.minutes:.0f}",
            *training(run.folder),
            str(run.config.training.seed),
        ]
        for run in runs
    ]
    columns = (
        *("recipe", "top-1 error %, center crop", "top-1 error %, ten crops", "95 % interval"),
        *("epochs", "minutes", *TRAINING_COLUMNS, "seed"),
    )
    machines = sorted({run.machine for run in runs})
    notes = [
        TRAINING_NOTE,
        *([f"Trained on {' and '.join(machines)}."] if machines else []),
        *stale_notes(results, [run.folder.name for run in runs]),
    ]
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def growth(results: Path) -> Table:
    """The gain per additional model of the recorded 7 CNNs*, with ten crops."""
    ten = by_views(results / "imagenette-7-cnns-star").get("ten")
    return growth_table(ten) if ten else Table(("models",), [(NOT_RECORDED,)])


def digits(results: Path) -> Table:
    """The recorded runs on MNIST, all seeds of a recipe in one row, with published errors."""
    recipes: dict[str, list[_Run]] = {}
    for run in _runs(results, "mnist-*"):
        recipes.setdefault(run.config.recipe, []).append(run)
    if not recipes:
        return Table(("recipe",), [(NOT_RECORDED,)])
    rows: list[list[str]] = []
    for recipe, runs in sorted(recipes.items()):
        errors = [run.results["center"].top1.error for run in runs]
        rows.append(
            [
                runs[0].link,
                ", ".join(_digits_error(row.top1) for row in published.rows_of(recipe)) or ABSENT,
                _digits_error(fmean(errors)),
                ", ".join(map(_digits_error, errors)),
                ", ".join(str(run.config.training.seed) for run in runs),
                f"{fmean(run.minutes for run in runs):.0f}",
                *training_cells([training_end(run.folder / "metrics.jsonl") for run in runs]),
            ]
        )
    columns = (
        *("recipe", "published error %", "ours: mean %", "each run %", "seeds", "minutes per run"),
        *TRAINING_COLUMNS,
    )
    notes = [
        "MNIST's 10,000 test digits; the error of 1989 was published for other digits, from US mail.",
        TRAINING_NOTE,
    ]
    return Table(columns, rows, numeric=frozenset(columns[1:]), notes=notes)


def _digits_error(error: float | None) -> str:
    """The error in percent, with two decimals, as for 10,000 digits."""
    return ABSENT if error is None else f"{100 * error:.2f}"


def localization(results: Path) -> Table:
    """A row for each evaluation of each recorded localizer: its errors, and those of baseline boxes."""
    rows = [
        [_recipe(folder, found), str(found.views), *localization_cells(found), *training(folder)]
        for folder, found in _all(results)
        if found.localization
    ]
    return _boxes(("recipe", "views", *LOCALIZATION_COLUMNS), rows, LOCALIZATION_NOTE)


def detection(results: Path) -> Table:
    """A row for each recorded detector: its precision, and that of its windows as boxes."""
    rows = [
        [_recipe(folder, found), data_of(found), *detection_cells(found), *training(folder)]
        for folder, found in _all(results)
        if found.detection
    ]
    return _boxes(("recipe", "data", *DETECTION_COLUMNS), rows, DETECTION_NOTE)


def _boxes(columns: tuple[str, ...], rows: list[list[str]], note: str) -> Table:
    columns = (*columns, *TRAINING_COLUMNS)
    numeric = BOX_NUMERIC | {*TRAINING_COLUMNS}
    return Table(columns, rows or [_absent(columns)], notes=[note, TRAINING_NOTE], numeric=numeric)


def _all(results: Path) -> Iterator[tuple[Path, EvalResult]]:
    for path in sorted(results.glob("*/evaluation.json")):
        for found in by_views(path.parent).values():
            yield path.parent, found


def _recipe(folder: Path, found: EvalResult) -> str:
    return f"[`{found.runs[0].recipe}`](results/{folder.name})"


def _absent(columns: tuple[str, ...]) -> list[str]:
    return [NOT_RECORDED, *(ABSENT for _ in columns[1:])]


def detection_steps(results: Path) -> Table:
    """What made detection better, step by step, from `experiments/detection.csv`."""
    columns = ("what", "mean average precision %", "remark")
    rows = [
        [row["what"], percent(float(row["mean_average_precision"])), row["remark"]]
        for row in read_csv(results / "experiments" / "detection.csv")
    ]
    return Table(columns, rows, numeric=frozenset(columns[1:2]))


def experiments(name: str, views: str, results: Path) -> Table:
    """Experiments on images held out of the training set, from the CSV of that name."""
    rows = [
        [
            f"`{row['settings']}`",
            _percent(row["top1_error"]),
            f"{_percent(row['low'])}-{_percent(row['high'])}" if row["low"] else ABSENT,
            row["nll"] or ABSENT,
            _percent(row["training_error"]),
            row["remark"],
        ]
        for row in read_csv(results / "experiments" / f"{name}.csv")
    ]
    numbers = (f"top-1 error %, {views}", "95 % interval", "NLL", "final training error %")
    return Table(("settings", *numbers, "remark"), rows, numeric=frozenset(numbers))


def benchmarks(results: Path) -> Table:
    """Every row of every benchmark's CSV."""
    rows = [
        [
            *(row["name"], _number(row["value"]), row["unit"], row["peer"] or ABSENT),
            *(_number(row["ratio"]), row["target"] or ABSENT),
        ]
        for path in sorted((results / "benchmarks").glob("*.csv"))
        for row in read_csv(path)
    ]
    columns = ("what", "measured", "unit", "peer", "ratio", "target")
    return Table(columns, rows, numeric=frozenset(("measured", "ratio", "target")))


def _percent(text: str) -> str:
    return percent(float(text)) if text else ABSENT


def _number(text: str) -> str:
    return f"{float(text):.3g}" if text else ABSENT
