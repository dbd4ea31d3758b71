"""Reads recorded results under `results/`: evaluations by views, misclassified images, configurations."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.config import RunConfig
from alexnet.evaluation.metrics import paired_interval
from alexnet.report.evaluation_tables import training_cells
from alexnet.report.tables import ABSENT, signed
from alexnet.runs.metrics_log import training_end
from alexnet.runs.results import EvalResult, read_results
from alexnet.runs.run_dir import RunDir

NOT_RECORDED = "not recorded yet"


def by_views(folder: Path) -> dict[str, EvalResult]:
    """The evaluations of a recorded result; none if it is not recorded."""
    return {str(result.views): result for result in read_results(folder)}


def misclassified(folder: Path, views: str) -> npt.NDArray[np.bool_] | None:
    """(N,) whether each image was misclassified; None if that was not recorded."""
    path = folder / "wrong.json"
    if not path.is_file():
        return None
    wrong = np.zeros(by_views(folder)[views].images, np.bool_)
    wrong[json.loads(path.read_text())[views]] = True
    return wrong


def difference(one: tuple[Path, str], other: tuple[Path, str]) -> str:
    """Top-1 error of one result (folder and views) minus another's, in points, with its paired interval.

    Absent for a result minus itself, and if one of them is not recorded.
    """
    errors = [misclassified(*each) for each in (one, other)]
    if one == other or errors[0] is None or errors[1] is None:
        return ABSENT
    return signed(float(errors[0].mean() - errors[1].mean()), paired_interval(errors[0], errors[1]))


def training(folder: Path) -> tuple[str, str]:
    """The cells of `TRAINING_COLUMNS` of a recorded run, or of an ensemble of recorded runs."""
    if (folder / "metrics.jsonl").is_file():
        return training_cells([training_end(folder / "metrics.jsonl")])
    members = next((result.runs for result in by_views(folder).values()), ())
    return training_cells([training_end(folder.parent / each.run / "metrics.jsonl") for each in members])


def config_of(folder: Path) -> RunConfig | None:
    """The configuration of a recorded run; None if it is not recorded."""
    run = RunDir(folder)
    return run.config() if run.config_file.is_file() else None


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of its columns; none if there is no such file."""
    if not file.is_file():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))
