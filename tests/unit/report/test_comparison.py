from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alexnet import published, recipes
from alexnet.cli.main import main
from alexnet.errors import DataError
from alexnet.report import boxes, comparison
from alexnet.report.comparison import Answers, rows_of
from alexnet.runs.run_dir import RunDir


def entry(recipe: str = "alexnet-2012", *, seeds: tuple[int, ...] = (0,), **changes) -> dict:
    return {
        "split": "val",
        "views": "ten",
        "store": "imagenette-128",
        "images": 1975,
        "top1_error": 0.151,
        "top5_error": 0.0123,
        "top1_interval": [0.136, 0.168],
        "top5_interval": [0.008, 0.018],
        "runs": [
            {"run": f"r{seed}", "recipe": recipe, "epochs": 20, "seed": seed, "checkpoint": "last"}
            for seed in seeds
        ],
    } | changes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "nette"
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps([entry(), entry(views="center", top1_error=0.2)]))
    return folder


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_our_rows_stand_below_the_papers_tables(run: Path, capsys) -> None:
    assert main(["compare", str(run)]) == 0
    shown = capsys.readouterr().out
    above, below = shown.split("\n---")[1:]
    for row in published.alexnet.TABLE_1 + published.alexnet.TABLE_2:
        assert any(line.startswith(row.system) and row.data in line for line in above.splitlines())
    assert "40.7" in above
    assert "imagenette-128 val" in below
    assert "15.1 (13.6-16.8)" in below
    assert "1.2 (0.8-1.8)" in below
    assert "one run" in below


def test_a_recipes_own_published_numbers_join_the_table(run: Path, capsys) -> None:
    (run / "evaluation.json").write_text(json.dumps([entry("caffenet")]))
    main(["compare", str(run)])
    assert lines(capsys.readouterr().out, "CaffeNet  ")


def test_a_vgg_stands_beside_the_published_rows_of_its_own_configuration(run: Path, capsys) -> None:
    (run / "evaluation.json").write_text(json.dumps([entry("vgg-d", views="dense", top1_error=0.3)]))
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
def test_nets_that_say_boxes_stand_beside_the_published_rows_of_their_classifier(
    run: Path, capsys, recipe: str
) -> None:
    (run / "evaluation.json").write_text(json.dumps([entry(recipe)]))
    main(["compare", str(run), "--json"])
    shown = [row["source"] for row in json.loads(capsys.readouterr().out)["published"]]
    assert shown.count("Sermanet et al. 2013, table 2") == len(published.rows_of("overfeat-fast")) == 4


def test_where_things_are_is_compared_below_the_errors(run: Path, capsys) -> None:
    rates = {"top5_localization_error": 0.42, "top5_localization_interval": [0.35, 0.49]}
    located = {**rates, "top1_localization_error": 0.73, "top5_error": None, "images": 200}
    located = {**located, "baselines": dict.fromkeys(boxes.BASELINES, located)}
    found = {"mean_average_precision": 0.069, "precision_of_windows": 0.501, "objects": 81, "images": 40}
    entries = [
        entry("overfeat-fast-localization", views="center", localization=located),
        entry("overfeat-fast-detection", detection=found),
        entry("overfeat-fast-detection", views="dense@144", detection=found),
        entry("overfeat-fast-detection", views="dense", detection=found),
    ]
    (run / "evaluation.json").write_text(json.dumps(entries))
    assert main(["compare", str(run)]) == 0
    _, _, below = capsys.readouterr().out.partition("\nLocalization, ")
    localization, _, detection = below.partition("\nDetection, ")
    assert any("four scales" in line and " 30.0 " in line for line in localization.splitlines())
    (ours,) = lines(localization, "overfeat-fast-localization")
    assert ours.count("42.0 (35.0-49.0)") == 4 and " 73.0 " in ours and " center " in ours
    assert len(lines(detection, "OverFeat, ")) == 2 and " 19.4 " in detection
    objects = lines(detection, "overfeat-fast-detection")  # all of a photo was seen, whatever the views
    assert [" dense " in line for line in objects] == [True, False]
    assert all(" 6.9 " in line and " 50.1 " in line for line in objects)
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["value"] for row in shown["published_localization"]] == [0.40, 0.315, 0.300, 0.441]
    assert [row["value"] for row in shown["published_detection"]] == [0.194, 0.243]
    assert shown["runs"][0]["localization"] == located and shown["runs"][1]["detection"] == found


def test_digits_stand_beside_digits_alone(run: Path, capsys) -> None:
    (run / "evaluation.json").write_text(json.dumps([entry("lenet-5")]))
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["published"]
    assert [(row["system"], row["data"]) for row in shown] == [
        (row.system, row.data) for row in published.rows_of("lenet-5")
    ]
    (run / "evaluation.json").write_text(json.dumps([entry("lenet-modern")]))
    assert main(["compare", str(run)]) == 0
    assert capsys.readouterr().out.startswith("Errors in %, of our runs")


def test_differences_are_of_the_same_views_or_the_same_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "evaluation.json").write_text(json.dumps([entry(), entry(views="dense")]))

    def answers(path: Path, told: dict) -> Answers:
        wrong = np.arange(20) < {"ten": 4, "center": 6, "dense": 5}[told["views"]] + 2 * (path == other)
        return Answers("digest", "val", np.arange(20).astype(str), wrong)

    monkeypatch.setattr(comparison, "answers_of", answers)
    rows = rows_of([run, other])
    assert [row.views for row in rows] == ["ten", "center", "ten", "dense"]
    differences = [row.difference for row in rows]
    assert differences[0] is None
    assert differences[1:] == pytest.approx([-0.1, -0.1, -0.05])  # dense: beside ten crops of its own run


def test_a_run_that_has_gone_on_since_it_was_tested_is_said_to(run: Path, capsys) -> None:
    last = run / "checkpoints" / "last"
    last.mkdir(parents=True)
    (last / "weights.safetensors").touch()
    (last / "meta.json").write_text('{"epoch": 3, "step": 93}')
    (run / "config.json").write_text("{}")
    tested = {
        "run": "nette",
        "recipe": "lenet-5",
        "epochs": 2,
        "seed": 0,
        "checkpoint": "last",
        "updates": 62,
    }
    (run / "evaluation.json").write_text(json.dumps([entry(runs=[tested])]))
    assert main(["compare", str(run)]) == 0
    assert (
        "nette was tested at update 62 and has gone on to 93 since: evaluate it again."
        in capsys.readouterr().out
    )
    (last / "meta.json").write_text('{"epoch": 2, "step": 62}')
    assert main(["compare", str(run)]) == 0
    assert "gone on" not in capsys.readouterr().out
    shutil.rmtree(run / "checkpoints")
    assert main(["compare", str(run)]) == 0


def test_json_has_fractions_and_says_which_rows_are_published(run: Path, capsys) -> None:
    assert main(["compare", str(run), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["top1_error"] for row in shown["runs"]] == [0.151, 0.2]
    assert {row["published"] for row in shown["published"]} == {True}
    assert shown["published_localization"] == shown["published_detection"] == []
    one_cnn = [
        row for row in shown["published"] if row["source"] == "paper, table 2" and row["system"] == "AlexNet"
    ]
    assert [(row["top1_error"], row["top5_error"]) for row in one_cnn] == [(0.407, 0.182)]


def test_an_ensemble_is_a_row_of_its_own(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "two.json"
    out.write_text(json.dumps(entry(seeds=(0, 1))))
    assert main(["compare", str(run), str(out)]) == 0
    (row,) = lines(capsys.readouterr().out, "2 x alexnet-2012")
    assert "0, 1" in row
    assert "mean of 2 runs" in row


def test_a_runs_own_file_stands_for_the_run(run: Path, capsys) -> None:
    main(["compare", str(run), "--json"])
    of_folder = json.loads(capsys.readouterr().out)["runs"]
    assert main(["compare", str(run / "evaluation.json"), "--json"]) == 0
    of_file = json.loads(capsys.readouterr().out)["runs"]
    assert [row["top1_error"] for row in of_file] == [row["top1_error"] for row in of_folder]


def test_what_nobody_knows_of_an_imported_net_is_a_dash(run: Path, capsys) -> None:
    theirs = {"run": "theirs", "recipe": "caffenet", "epochs": None, "seed": None, "checkpoint": "last"}
    (run / "evaluation.json").write_text(json.dumps([entry(runs=[theirs])]))
    assert main(["compare", str(run), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert (row["epochs"], row["seeds"]) == (None, [])


def test_a_run_that_was_not_tested_says_what_to_type(tmp_path: Path, capsys) -> None:
    run = RunDir.create(tmp_path / "run", recipes.get("alexnet-2012")).path
    assert main(["compare", str(run)]) == 2
    assert f"alexnet evaluate {run}" in capsys.readouterr().err
    assert main(["compare", str(tmp_path)]) == 2
    assert f"is a folder of runs: name those, {run}" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_said_not_to(tmp_path: Path, capsys) -> None:
    assert main(["compare", str(tmp_path / "vgg")]) == 2
    said = capsys.readouterr().err
    assert f"there is no {tmp_path / 'vgg'}:" in said and "evaluate" not in said


@pytest.mark.parametrize("text", ["[{]", '[{"split": "val"}]', "[1]"])
def test_a_broken_file_is_one_line_and_3(run: Path, capsys, text: str) -> None:
    (run / "evaluation.json").write_text(text)
    assert main(["compare", str(run)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_errors_that_do_not_exist_are_dashes(run: Path, capsys) -> None:
    (run / "evaluation.json").write_text(json.dumps([entry(top5_error=None, top5_interval=None)]))
    assert main(["compare", str(run)]) == 0
    (row,) = lines(capsys.readouterr().out, "alexnet-2012")
    assert "15.1 (13.6-16.8)  -  " in row


def test_a_file_that_is_no_result_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"give a run, an ensemble's folder, or a file") as refused:
        rows_of([tmp_path / "net.safetensors"])
    assert "remove" not in str(refused.value)
