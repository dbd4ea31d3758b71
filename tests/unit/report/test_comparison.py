from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluations import evaluation, write

from alexnet import published, recipes
from alexnet.cli.main import main
from alexnet.data.classes import imagenet_classes
from alexnet.errors import DataError
from alexnet.report import comparison
from alexnet.report.comparison import BASELINE_TITLES, PredictionErrors, comparison_rows
from alexnet.report.evaluation_tables import TRAINING_NOTE, training_cells
from alexnet.report.tables import ABSENT
from alexnet.runs.metrics_log import MetricsLog, TrainingEnd
from alexnet.runs.results import (
    BoxErrors,
    ClassErrors,
    DetectionResult,
    EvalResult,
    EvaluatedRun,
    LocalizationResult,
)
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir


def nette(top1_errors: int = 298, views: str = "ten", **changes) -> EvalResult:
    """An evaluation of a store with ImageNet's classes; all images are of the first one."""
    counts = {"images": 1975, "top5_errors": 24, **changes}
    if "per_class" not in counts:
        first, *others = imagenet_classes()
        classes = [ClassErrors(first.wnid, first.name, counts["images"], top1_errors)]
        classes += [ClassErrors(each.wnid, each.name, 0, 0) for each in others]
        counts["per_class"] = tuple(classes)
    return evaluation(top1_errors, views, **counts)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "nette"
    write(folder, nette(), nette(395, "center"))
    return folder


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_our_rows_are_below_the_papers_tables(run: Path, capsys) -> None:
    assert main(["compare", str(run)]) == 0
    shown = capsys.readouterr().out
    above, below = shown.split("\n---")[1:]
    for row in published.alexnet.TABLE_1 + published.alexnet.TABLE_2:
        assert any(line.startswith(row.system) and row.data in line for line in above.splitlines())
    assert "40.7" in above
    assert "imagenette-128 val" in below
    assert "15.1 (13.6-16.7)" in below
    assert "1.2 (0.8-1.8)" in below
    assert "one run" in below


def test_a_recipes_own_published_numbers_join_the_table(run: Path, capsys) -> None:
    write(run, nette(recipe="caffenet"))
    main(["compare", str(run)])
    assert lines(capsys.readouterr().out, "CaffeNet  ")


def test_a_vgg_is_listed_with_the_published_rows_of_its_own_configuration(run: Path, capsys) -> None:
    write(run, nette(593, "dense", recipe="vgg-d"))
    assert main(["compare", str(run)]) == 0
    above, below = capsys.readouterr().out.split("\n---")[1:]
    for row in published.rows_of("vgg-d"):
        (line,) = [
            line
            for line in above.splitlines()
            if line.startswith(row.system + " ") and f" {row.views} " in line and row.source in line
        ]
        assert f"{100 * row.top1:.1f}" in line and f"{100 * row.top5:.1f}" in line
    assert "VGG E" not in above
    assert lines(below, "vgg-d ")[0].split("dense", 1)[1].strip().startswith("30.0")
    main(["compare", str(run), "--json"])
    shown = json.loads(capsys.readouterr().out)
    best = [row for row in shown["published"] if row["source"].endswith("table 5")]
    assert [row["views"] for row in best] == ["multi-crop@256,384,512", "dense+multi-crop@256,384,512"]


@pytest.mark.parametrize("recipe", ["overfeat-fast-localization", "overfeat-fast-detection"])
def test_models_of_boxes_are_listed_with_the_published_rows_of_their_classifier(
    run: Path, capsys, recipe: str
) -> None:
    write(run, nette(recipe=recipe))
    main(["compare", str(run), "--json"])
    shown = [row["source"] for row in json.loads(capsys.readouterr().out)["published"]]
    assert shown.count("Sermanet et al. 2013, table 2") == len(published.rows_of("overfeat-fast")) == 4


def test_boxes_are_compared_below_the_errors(run: Path, capsys) -> None:
    errors = {
        "images": 200,
        "without_box": 0,
        "top1_errors": 90,
        "top5_errors": None,
        "top1_localization_errors": 146,
        "top5_localization_errors": 84,
    }
    baselines = {name: BoxErrors(**errors) for name in BASELINE_TITLES}
    located = LocalizationResult(**errors, baselines=baselines)
    found = DetectionResult(40, 81, 0.069, (), precision_of_windows=0.501)
    detector = "overfeat-fast-detection"
    results = [
        nette(views="center", recipe="overfeat-fast-localization", localization=located),
        *(nette(views=views, recipe=detector, detection=found) for views in ("ten", "dense@144", "dense")),
    ]
    write(run, *results)
    assert main(["compare", str(run)]) == 0
    _, _, below = capsys.readouterr().out.partition("\nLocalization: ")
    localization, _, detection = below.partition("\nDetection: ")
    assert any("four scales" in line and " 30.0 " in line for line in localization.splitlines())
    (ours,) = lines(localization, "overfeat-fast-localization")
    assert ours.count("42.0 (35.4-48.9)") == 4 and " 73.0 " in ours and " center " in ours
    assert len(lines(detection, "OverFeat, ")) == 2 and " 19.4 " in detection
    objects = lines(detection, "overfeat-fast-detection")  # the whole photo was used, whatever the views
    assert [" dense " in line for line in objects] == [True, False]
    assert all(" 6.9 " in line and " 50.1 " in line for line in objects)
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["value"] for row in shown["published_localization"]] == [0.40, 0.315, 0.300, 0.313, 0.441]
    assert [row["value"] for row in shown["published_detection"]] == [0.194, 0.243]
    assert shown["runs"][0]["localization"] == results[0].to_dict()["localization"]
    assert shown["runs"][1]["detection"] == results[1].to_dict()["detection"]


def test_published_rows_are_shown_for_imagenets_thousand_classes_and_digits_only(run: Path) -> None:
    found = {}
    for recipe in ("alexnet-2012", "lenet-5"):
        some = {"per_class": (ClassErrors("n01440764", "tench", 1975, 298),)}
        for classes, changes in (("all", {}), ("one", some)):
            write(run, nette(recipe=recipe, **changes))
            found[recipe, classes] = len(comparison.comparable_rows(comparison_rows([run])))
    assert found["alexnet-2012", "one"] == 0
    assert found["alexnet-2012", "all"] > 0
    assert found["lenet-5", "one"] == len(published.rows_of("lenet-5"))


def test_errors_on_peoples_own_photos_are_compared_with_each_other_only(run: Path, capsys) -> None:
    classes = (ClassErrors("cats", "cats", 1000, 100), ClassErrors("dogs", "dogs", 975, 198))
    write(run, nette(per_class=classes, top5_errors=None))
    assert main(["compare", str(run)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Errors in %: your runs") and "paper" not in shown and "top-5" not in shown
    (row,) = lines(shown, "alexnet-2012")
    balanced = (100 / 1000 + 198 / 975) / 2
    assert f"{100 * balanced:.1f} (" in row and "Balanced error:" in shown
    assert main(["compare", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["published"] == []
    assert found["runs"][0]["balanced_error"] == pytest.approx(balanced)


def test_classes_of_equal_size_have_no_balanced_error(run: Path, capsys) -> None:
    write(run, nette(images=1000))
    assert main(["compare", str(run)]) == 0
    assert "alanced" not in capsys.readouterr().out


def test_columns_without_a_value_are_left_out(run: Path, capsys) -> None:
    write(run, nette(recipe="lenet-modern", top5_errors=None))
    main(["compare", str(run)])
    shown = capsys.readouterr().out
    assert "top-1" in shown and "top-5" not in shown and "eduction" not in shown


def test_digits_are_compared_with_digits_only(run: Path, capsys) -> None:
    write(run, nette(recipe="lenet-5"))
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["published"]
    assert [(row["system"], row["data"]) for row in shown] == [
        (row.system, row.data) for row in published.rows_of("lenet-5")
    ]
    write(run, nette(recipe="lenet-modern"))
    assert main(["compare", str(run)]) == 0
    assert capsys.readouterr().out.startswith("Errors in %: your runs")


def test_differences_are_of_the_same_views_or_the_same_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    write(other, nette(), nette(views="dense"))

    def errors(path: Path, result: EvalResult) -> PredictionErrors:
        wrong = np.arange(20) < {"ten": 4, "center": 6, "dense": 5}[result.views.name] + 2 * (path == other)
        return PredictionErrors("digest", "val", np.arange(20).astype(str), wrong)

    monkeypatch.setattr(comparison, "prediction_errors", errors)
    rows = comparison_rows([run, other])
    assert [row.views for row in rows] == ["ten", "center", "ten", "dense"]
    differences = [row.difference for row in rows]
    assert differences[0] is None
    assert differences[1:] == pytest.approx(
        [-0.1, -0.1, -0.05]
    )  # dense: compared with ten crops of its own run


def test_a_run_that_was_trained_on_since_its_evaluation_is_named(run: Path, capsys) -> None:
    last = run / "checkpoints" / "last"
    last.mkdir(parents=True)
    (last / "weights.safetensors").touch()
    (last / "meta.json").write_text('{"epoch": 3, "step": 93}')
    (run / "config.json").write_text("{}")
    write(run, nette(runs=(EvaluatedRun("nette", "lenet-5", 2, 0, "last", updates=62),)))
    assert main(["compare", str(run)]) == 0
    assert (
        "nette was evaluated at update 62 and has been trained to update 93 since: evaluate it again."
        in capsys.readouterr().out
    )
    (last / "meta.json").write_text('{"epoch": 2, "step": 62}')
    assert main(["compare", str(run)]) == 0
    assert "evaluate it again" not in capsys.readouterr().out
    shutil.rmtree(run / "checkpoints")
    assert main(["compare", str(run)]) == 0


def test_json_has_fractions_and_marks_published_rows(run: Path, capsys) -> None:
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["top1_error"] for row in shown["runs"]] == [298 / 1975, 395 / 1975]
    assert {row["published"] for row in shown["published"]} == {True}
    assert shown["published_localization"] == shown["published_detection"] == []
    one_cnn = [
        row for row in shown["published"] if row["source"] == "paper, table 2" and row["system"] == "AlexNet"
    ]
    assert [(row["top1_error"], row["top5_error"]) for row in one_cnn] == [(0.407, 0.182)]


def test_an_ensemble_is_a_row_of_its_own(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "two.json"
    out.write_text(json.dumps(nette(seeds=(0, 1), mean="probabilities").to_dict()))
    assert main(["compare", str(run), str(out)]) == 0
    (row,) = lines(capsys.readouterr().out, "2 x alexnet-2012")
    assert "0, 1" in row
    assert "mean of 2 runs" in row


def test_a_runs_weights_file_is_accepted_instead_of_the_run(run: Path, capsys) -> None:
    main(["compare", str(run), "--json"])
    of_folder = json.loads(capsys.readouterr().out)["runs"]
    assert main(["compare", str(run / "evaluation.json"), "--json"]) == 0
    of_file = json.loads(capsys.readouterr().out)["runs"]
    assert [row["top1_error"] for row in of_file] == [row["top1_error"] for row in of_folder]


def test_unknown_fields_of_an_imported_model_are_null(run: Path, capsys) -> None:
    write(run, nette(recipe="caffenet", seeds=(None,), epochs=None))
    assert main(["compare", str(run), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert (row["epochs"], row["seeds"]) == (None, [])


def test_a_run_without_evaluations_is_refused_with_what_to_type(tmp_path: Path, capsys) -> None:
    run = RunDir.create(tmp_path / "run", recipes.get("alexnet-2012")).path
    assert main(["compare", str(run)]) == 2
    assert f"alexnet evaluate {run}" in capsys.readouterr().err
    assert main(["compare", str(tmp_path)]) == 2
    assert f"is a folder of runs: type their paths, {run}" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys) -> None:
    assert main(["compare", str(tmp_path / "vgg")]) == 2
    message = capsys.readouterr().err
    assert f"there is no run at {tmp_path / 'vgg'}:" in message and "evaluate" not in message


@pytest.mark.parametrize("text", ["[{]", '[{"split": "val"}]', "[1]"])
def test_a_broken_file_is_one_line_and_3(run: Path, capsys, text: str) -> None:
    (run / "evaluation.json").write_text(text)
    assert main(["compare", str(run)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_errors_that_do_not_exist_are_dashes(run: Path, capsys) -> None:
    write(run, nette(top5_errors=None))
    assert main(["compare", str(run)]) == 0
    (row,) = lines(capsys.readouterr().out, "alexnet-2012")
    assert "15.1 (13.6-16.7)  -  " in row


def test_a_file_that_is_no_result_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"use a run, an ensemble, or a file") as refused:
        comparison_rows([tmp_path / "net.safetensors"])
    assert "remove" not in str(refused.value)


def test_without_a_run_all_published_results_are_printed(capsys) -> None:
    assert main(["compare"]) == 0
    shown = capsys.readouterr().out
    first, second, *others = shown.split("\nPublished ")
    assert "sparse coding" in first and "47.1" in first and "paper, table 1" in first
    assert len(lines(second, "7 AlexNets, two of them pre-trained")) == 2 and "15.3" in second
    assert others
    for row in published.ROWS:
        numbers = [f"{100 * error:.1f}" for error in (row.top1, row.top5) if error and error >= 0.01]
        assert any(
            line.startswith(row.system) and row.source in line and all(each in line for each in numbers)
            for line in shown.splitlines()
        ), row
    assert any(not row.recipe for row in published.ROWS)
    for row in (*published.overfeat.LOCALIZATION, *published.overfeat.DETECTION):
        (line,) = lines(shown, f"{row.system}  ")
        assert f" {100 * row.value:.1f} " in line
    assert "local response normalization" in shown


def test_without_a_run_json_has_all_published_results(capsys) -> None:
    assert main(["compare", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(row["system"], row["source"]) for row in shown["published"]] == [
        (row.system, row.source) for row in published.ROWS
    ]
    assert [row["value"] for row in shown["published_detection"]] == [0.194, 0.243]
    assert shown["runs"] == shown["ensembles"] == []


def test_a_file_of_evaluate_out_is_read_with_its_members(tmp_path: Path, capsys) -> None:
    members = [nette(310 + seed, seeds=(seed,)).to_dict() for seed in (0, 1)]
    both = nette(298, seeds=(0, 1), mean="probabilities").to_dict()
    (tmp_path / "two.json").write_text(json.dumps({**both, "members": members}))
    assert main(["compare", str(tmp_path / "two.json")]) == 0
    assert "mean of 2 runs" in capsys.readouterr().out


def log_of(folder: Path, *lines: tuple[int, float]) -> None:
    """Writes the log of a run whose training error was so high after so many updates."""
    with MetricsLog(folder / "metrics.jsonl", folder / "tensorboard") as log:
        for step, error in lines:
            log.write("train", step, 1, error=error)


def test_updates_and_training_error_are_those_of_the_evaluated_weights(run: Path, capsys) -> None:
    log_of(run, (20, 0.75), (40, 0.25))
    runs = (EvaluatedRun("r0", "alexnet-2012", 20, 0, "best", updates=20),)
    write(run, nette(views="center", runs=runs), nette())
    assert main(["compare", str(run), "--json"]) == 0
    of_best, of_last = json.loads(capsys.readouterr().out)["runs"]
    assert of_best["trained"] == [{"updates": 20, "error": 0.75}]
    assert of_last["trained"] == [{"updates": 40, "error": 0.25}]
    assert main(["compare", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "updates  training error %" in shown and TRAINING_NOTE in shown
    best, last = lines(shown, "alexnet-2012")
    assert " ".join(best.split()).count("20 20 75.0 0 nette") == 1
    assert " ".join(last.split()).count("20 40 25.0 0 nette") == 1


def test_runs_without_a_log_have_no_training_error(run: Path, capsys) -> None:
    assert main(["compare", str(run)]) == 0
    assert "training error" not in capsys.readouterr().out


def test_an_average_has_the_recipes_of_its_models_and_their_own_logs(tmp_path: Path) -> None:
    """Also if the ensemble has other models by now."""
    folder = tmp_path / "two"
    runs = [
        EvaluatedRun(f"seed-{n}", "lenet-5", epochs=1, seed=n, checkpoint="last", updates=5 + n)
        for n in (0, 1)
    ]
    write(folder, replace(evaluation(), runs=tuple(runs), mean="probabilities"))
    members = [EnsembleMember(name=f"seed-{n}", pretraining=False) for n in range(3)]
    EnsembleDir(folder).write("two", members)
    for n in (0, 1):
        (folder / f"seed-{n}").mkdir()
        with MetricsLog(folder / f"seed-{n}" / "metrics.jsonl", folder / "events", 0) as log:
            log.write("train", 5 + n, 1, error=0.1 * n, loss=1.0)
    (row,) = comparison_rows([folder])
    assert comparison.recipes_of([row]) == ["lenet-5"]
    assert [end and end.updates for end in row.trained] == [5, 6]


def test_several_runs_have_a_range_of_updates_and_a_mean_training_error() -> None:
    assert training_cells([TrainingEnd(2_920, 0.25), TrainingEnd(2_482, 0.75)]) == ("2,482-2,920", "50.0")
    assert training_cells([TrainingEnd(2_920, 0.25), TrainingEnd(2_920, 0.25)]) == ("2,920", "25.0")
    assert training_cells([TrainingEnd(2_920, 0.25), None]) == training_cells([]) == (ABSENT, ABSENT)
