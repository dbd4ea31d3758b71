"""Tables of recorded runs, benchmarks and experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluations import evaluation, write

from alexnet.report.comparison import BASELINE_TITLES
from alexnet.runs.results import BoxErrors, DetectionResult, LocalizationResult
from tools import recorded_runs, result_tables


def boxes(errors: int, **more: Any) -> dict[str, Any]:
    counts = {"top1_localization_errors": 700, "top5_localization_errors": errors}
    return {"images": 1000, "without_box": 0, **counts, "top1_errors": 300, "top5_errors": 200, **more}


def test_a_localizer_is_listed_with_its_baselines(tmp_path: Path) -> None:
    baselines = {name: BoxErrors(**boxes(600 + 10 * place)) for place, name in enumerate(BASELINE_TITLES)}
    found = LocalizationResult(**boxes(400, baselines=baselines))
    other = evaluation(recipe="here")
    write(tmp_path / "one", other, evaluation(views="dense@72", recipe="here", localization=found))
    (row,) = result_tables.localization(tmp_path).rows
    assert row[:3] == ["[`here`](results/one)", "dense@72", "40.0 (37.0-43.1)"]
    assert [each.partition(" ")[0] for each in row[3:6]] == ["60.0", "61.0", "62.0"]
    assert row[6:] == ["20.0", "70.0", "1,000", "-", "-"]


def test_a_detector_is_listed_with_its_windows(tmp_path: Path) -> None:
    found = DetectionResult(400, 1318, 0.5, (), precision_of_windows=0.35)
    write(tmp_path / "two", evaluation(recipe="all", store="scenes", detection=found))
    assert result_tables.detection(tmp_path).rows == [
        ["[`all`](results/two)", "scenes val", "50.0", "35.0", "1,318", "400", "-", "-"]
    ]


def test_without_recorded_results_the_tables_have_a_note(tmp_path: Path) -> None:
    for table in (result_tables.localization(tmp_path), result_tables.detection(tmp_path)):
        assert table.rows[0][0] == "not recorded yet"
        assert len(table.rows[0]) == len(table.columns)


def test_localizers_and_detectors_can_be_recorded() -> None:
    losses = {run.config().training.loss for run in recorded_runs.RUNS}
    assert {"boxes", "objects"} <= losses


def test_benchmarks_are_rows_of_their_csv(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "step.csv").write_text(
        "benchmark,name,value,unit,peer,ratio,target\nstep,training,65.43,images/s,stock,1.0512,>= 1\n"
    )
    text = result_tables.benchmarks(tmp_path).markdown()
    assert "| training | 65.4 | images/s | stock | 1.05 | >= 1 |" in text


def test_experiments_are_rows_of_their_csv(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "alexnet-modern.csv").write_text(
        "settings,top1_error,low,high,nll,training_error,remark\n"
        "schedule.epochs=40,0.1711,0.1484,0.1964,0.582,0.107,best\nmodel.dropout=0,,,,,,given up\n"
    )
    text = result_tables.experiments("alexnet-modern", "ten crops", tmp_path).markdown()
    assert "| `schedule.epochs=40` | 17.1 | 14.8-19.6 | 0.582 | 10.7 | best |" in text
    assert "given up" in text
