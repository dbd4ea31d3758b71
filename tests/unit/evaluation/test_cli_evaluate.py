from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.checksum import without_checksum
from alexnet.cli.main import main
from alexnet.config import to_dict
from alexnet.data.classes import Class
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.evaluation import ensemble, metrics, prediction_cache, run_evaluation
from alexnet.evaluation.run_evaluation import announcing, class_predictions
from alexnet.io import write_json
from alexnet.models import registry
from alexnet.models.config import ALEXNET_VARIANTS, ModelConfig
from alexnet.models.summary import summarize
from alexnet.report import evaluation_tables
from alexnet.runs import predictions
from alexnet.runs.environment import Environment, Imported
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir

from .conftest import CLASSES, CROP, SIDE, VAL_PER_CLASS, make_net, shuffled, write_checkpoint

IMAGES = CLASSES * VAL_PER_CLASS + 1


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The entries of `evaluation.json`, without their checksums."""
    file = folder / "evaluation.json"
    return without_checksum(json.loads(file.read_text()), file)


def evaluate(capsys, store, *words) -> tuple[int, str, str]:
    code = main(["evaluate", "--store", str(store.path), "--device", "cpu", *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_json_file_and_run_folder_hold_the_same_errors_as_fractions(
    make_run, store, tmp_path, capsys
) -> None:
    run = make_run("run")
    code, out, _ = evaluate(capsys, store, run.path, "--json", "--out", tmp_path / "new" / "out.json")
    assert code == 0
    printed = json.loads(out)
    assert json.loads((tmp_path / "new" / "out.json").read_text()) == printed
    assert recorded(run.path) == [printed]
    assert (printed["split"], printed["views"], printed["images"]) == ("val", "ten", IMAGES)
    saved = predictions.load(predictions.path_of(run.path, "val", "ten"))
    assert printed["top1_error"] == np.mean(saved.probabilities.argmax(axis=1) != saved.labels)
    assert printed["top1_interval"][0] < printed["top1_error"] < printed["top1_interval"][1]
    (tested_run,) = printed["runs"]
    assert tested_run.pop("updates") is None  # its checkpoint does not say
    assert tested_run == {
        "run": "run",
        "recipe": "alexnet-2012",
        "epochs": 3,
        "seed": 0,
        "checkpoint": "last",
    }


def test_epochs_and_seed_of_an_imported_model_are_unknown(make_run, store, capsys) -> None:
    run = make_run("run")
    run.write_environment(Environment(imported=Imported("net.pth", "", "")))
    _, out, _ = evaluate(capsys, store, run.path, "--json")
    (tested_run,) = json.loads(out)["runs"]
    assert (tested_run["epochs"], tested_run["seed"]) == (None, None)


def test_the_epochs_that_were_done_are_what_counts(make_run, store, capsys) -> None:
    """Those of the tested checkpoint, which may be an earlier one than the last."""
    run = make_run("run")
    write_checkpoint(run, make_net(store, 1), "best")
    for name, step in (("last", 9), ("best", 6)):
        meta = {"step": step, "epoch": step // 3, "weights_sha256": ""}
        write_json(run.checkpoints / name / "meta.json", meta)
    run.metrics_file.write_text('{"event": "stopped", "step": 9, "epoch": 3}\n')
    for name, epochs in (("last", 3), ("best", 2)):
        _, out, _ = evaluate(capsys, store, run.path, "--json", "--checkpoint", name)
        (tested_run,) = json.loads(out)["runs"]
        assert (tested_run["epochs"], tested_run["updates"]) == (epochs, 3 * epochs)


def test_each_split_and_views_has_one_entry_the_newest(make_run, store, capsys) -> None:
    run = make_run("run")
    for words in (["--views", "ten"], ["--views", "center"], ["--views", "ten"], ["--split", "train"]):
        assert evaluate(capsys, store, run.path, *words)[0] == 0
    entries = json.loads((run.path / "evaluation.json").read_text())
    assert [(each["split"], each["views"]) for each in entries] == [
        ("val", "center"),
        ("val", "ten"),
        ("train", "ten"),
    ]


def test_results_of_another_store_are_kept(make_run, store, capsys) -> None:
    run = make_run("run")
    evaluate(capsys, store, run.path)
    (entry,) = recorded(run.path)
    elsewhere = {**entry, "store": "elsewhere", "store_digest": "another"}
    (run.path / "evaluation.json").write_text(json.dumps([elsewhere]))
    evaluate(capsys, store, run.path)
    assert recorded(run.path) == [elsewhere, entry]


def test_several_runs_are_an_ensemble_of_their_saved_probabilities(make_run, store, tmp_path, capsys) -> None:
    runs = [make_run(f"run-{seed}", seed) for seed in range(3)]
    code, out, _ = evaluate(capsys, store, *(run.path for run in runs), "--json")
    assert code == 0
    printed = json.loads(out)
    members = [predictions.load(predictions.path_of(run.path, "val", "ten")) for run in runs]
    wanted = metrics.evaluate_predictions(ensemble.mean(members)).to_dict()
    for each in printed["mistakes"]:
        each["file"] = ""
    counted = wanted.keys() - {"store", "runs"}  # which are not known to the metrics, as the files
    assert {name: printed[name] for name in counted} == {name: wanted[name] for name in counted}
    assert [member["runs"][0]["run"] for member in printed["members"]] == ["run-0", "run-1", "run-2"]
    assert [run["seed"] for run in printed["runs"]] == [0, 1, 2]
    for run, member in zip(runs, printed["members"], strict=True):
        assert recorded(run.path) == [member]


def test_fresh_predictions_are_used_again_and_stale_ones_are_not(
    make_run, store, capsys, monkeypatch
) -> None:
    run = make_run("run")
    evaluate(capsys, store, run.path)
    calls: list[str] = []
    infer = prediction_cache.infer_images
    monkeypatch.setattr(
        prediction_cache, "infer_images", lambda *words: calls.append("inferred") or infer(*words)
    )
    evaluate(capsys, store, run.path)
    assert not calls
    write_checkpoint(run, make_net(store, seed=5), "best")
    evaluate(capsys, store, run.path)
    assert not calls
    evaluate(capsys, store, run.path, "--checkpoint", "best")
    assert len(calls) == 1
    predictions.path_of(run.path, "val", "ten").write_bytes(b"broken")
    evaluate(capsys, store, run.path)
    assert len(calls) == 2


def test_text_shows_errors_classes_and_confusions(make_run, store, capsys) -> None:
    runs = [make_run(f"run-{seed}", seed).path for seed in range(2)]
    code, out, err = evaluate(capsys, store, *runs, "--views", "center")
    assert code == 0
    assert "mean of 2 runs" in out
    assert out.count(" center ") == 3
    assert all(f"n0000000{label}" in out for label in range(CLASSES))
    assert "Confusion matrix" in out
    assert "cpu" in err


def test_text_has_the_whole_matrix_scores_of_classes_and_mistakes(make_run, store, capsys) -> None:
    run = make_run("run").path
    out = evaluate(capsys, store, run, "--views", "center")[1]
    saved = predictions.load(predictions.path_of(run, "val", "center"))
    matrix = metrics.confusion_matrix(saved)
    for row in (0, CLASSES - 1):
        cells = [str(count) if count else "." for count in matrix[row].tolist()]
        assert [str(row + 1), f"n0000000{row}", *cells] in [line.split() for line in out.splitlines()]
    (result,) = json.loads((run / "evaluation.json").read_text())
    assert result["mistakes"][0]["file"] in out and Path(result["mistakes"][0]["file"]).is_file()
    scores = [f"{100 * result['per_class'][2][name]:.1f}" for name in ("recall", "f1")]
    assert any(set(scores) <= set(line.split()) for line in out.splitlines() if "n00000002" in line)
    assert "balanced error %" in out and "macro F1 %" in out and "top-5" not in out


def test_mistakes_are_shown_relative_to_the_working_directory_and_without_files_by_their_keys(
    make_run, photos, tmp_path, capsys, monkeypatch
) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    settings = PrepareSettings(side=SIDE)
    store = prepare(open_source(tmp_path / "photos"), tmp_path / "store", settings, workers=1)
    run = make_run("run").path
    monkeypatch.chdir(tmp_path)

    def shown() -> str:
        out = evaluate(capsys, store, run, "--views", "center")[1]
        return next(line for line in out.split("Most confident mistakes")[1].splitlines() if "JPEG" in line)

    (first, *_) = metrics.evaluate_predictions(
        class_predictions(RunDir(run), store, "val", ViewSet("center"))
    ).mistakes
    assert shown().split()[0] == f"photos/val/{first.key}"
    shutil.rmtree(tmp_path / "photos")
    assert shown().split()[0] == first.key


def test_of_many_classes_the_worst_are_listed_unless_all_are_wanted(
    make_run, store, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(evaluation_tables, "FEW_CLASSES", CLASSES - 1)
    monkeypatch.setattr(evaluation_tables, "WORST_CLASSES", 2)
    run = make_run("run").path
    out = evaluate(capsys, store, run)[1]
    assert "the 2 worst of 7 classes" in out and "--per-class" in out
    assert "Most frequent confusions" in out and "Confusion matrix" not in out
    listed = evaluate(capsys, store, run, "--per-class")[1]
    assert "Recall and precision of each class" in listed
    (result,) = json.loads((run / "evaluation.json").read_text())
    worst = min(result["per_class"], key=lambda each: each["recall"])["wnid"]
    of_classes = out.split("Recall and precision")[1].split("Most frequent")[0]
    assert worst in of_classes and of_classes.count("n0000000") == 2


def test_the_confusion_matrix_is_written_by_the_suffix_of_its_file(
    make_run, store, tmp_path, capsys, monkeypatch
) -> None:
    run = make_run("run").path
    table, figure = tmp_path / "new" / "matrix.csv", tmp_path / "matrix.png"
    assert evaluate(capsys, store, run, "--confusion", table)[0] == 0
    monkeypatch.setattr(prediction_cache, "infer_images", lambda *words: pytest.fail("tested again"))
    assert evaluate(capsys, store, run, "--confusion", figure, "--json")[0] == 0
    with table.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    saved = predictions.load(predictions.path_of(run, "val", "ten"))
    assert header == ["true class", *saved.classes]
    assert [row[0] for row in rows] == saved.classes.tolist()
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    assert counts == metrics.confusion_matrix(saved).tolist()
    with Image.open(figure) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("name", "message"), [("matrix.txt", "must end in .csv or .png"), ("new.csv", "is a folder")]
)
def test_a_confusion_matrix_that_cannot_be_written_is_refused_before_the_test(
    make_run, store, tmp_path, capsys, monkeypatch, name, message
) -> None:
    (tmp_path / "new.csv").mkdir()
    monkeypatch.setattr(prediction_cache, "infer_images", lambda *words: pytest.fail("tested"))
    code, _, err = evaluate(capsys, store, make_run("run").path, "--confusion", tmp_path / name)
    assert code == 2
    assert message in err


def test_with_json_standard_output_holds_nothing_else(make_run, store, capsys) -> None:
    _, out, err = evaluate(capsys, store, make_run("run").path, "--json")
    json.loads(out)
    assert not err


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--views", "eleven"], 2, "center, ten"),
        (["--split", "test"], 2, "train, val"),
        (["--checkpoint", "first"], 2, "last or best"),
        (["--checkpoint", "best"], 2, "best"),
        (["--device", "tpu"], 2, "tpu"),
    ],
)
def test_wrong_commands_are_one_line(make_run, store, capsys, words, code, named) -> None:
    run = make_run("run")
    found, _, err = evaluate(capsys, store, run.path, *words)
    lines = [line for line in err.splitlines() if line.startswith("alexnet:")]
    assert found == code
    assert len(lines) == 1
    assert named in lines[0]
    assert not (run.path / "evaluation.json").exists()


def test_a_folder_that_is_no_run_and_a_store_that_is_none(make_run, store, tmp_path: Path, capsys) -> None:
    assert evaluate(capsys, store, tmp_path)[0] == 2
    assert main(["evaluate", str(make_run("run").path), "--store", str(tmp_path)]) == 3
    assert "not a store" in capsys.readouterr().err


def test_a_broken_record_of_earlier_evaluations_is_one_line(make_run, store, capsys) -> None:
    run = make_run("run")
    (run.path / "evaluation.json").write_text("[{")
    code, _, err = evaluate(capsys, store, run.path)
    assert code == 3
    assert "evaluation.json has no valid evaluation (Expecting property name" in err


def test_an_ensembles_folder_is_replaced_by_its_voting_members(make_run, store, tmp_path, capsys) -> None:
    runs = [make_run(f"both/net-{seed}", seed) for seed in range(3)]
    for run in runs[1:]:
        run.metrics_file.write_text('{"event": "result", "step": 9, "epoch": 3}\n')
    members = [{"name": run.path.name, "pretraining": run is runs[0]} for run in runs]
    (tmp_path / "both" / "ensemble.json").write_text(json.dumps({"name": "x", "members": members}))
    code, out, _ = evaluate(capsys, store, tmp_path / "both", "--json")
    assert code == 0
    printed = json.loads(out)
    assert [run["run"] for run in printed["runs"]] == ["net-1", "net-2"]
    assert [step["nets"] for step in printed["growth"]] == [1, 2]
    (kept,) = recorded(tmp_path / "both")
    assert kept == {name: value for name, value in printed.items() if name != "members"}
    assert main(["compare", str(tmp_path / "both"), str(runs[1].path)]) == 0
    shown = capsys.readouterr().out
    assert "2 x alexnet-2012" in shown
    assert "Gain per additional model in both on store val, views ten" in shown


def test_senseless_commands_are_refused_before_a_model_is_loaded(
    make_run, store, tmp_path, capsys, monkeypatch
) -> None:
    run = make_run("run").path
    monkeypatch.setattr(run_evaluation, "class_predictions", None)
    for words, named in [
        (["--views", "tenn"], "choose from: center, ten"),
        ([run], "run occurs twice"),
        (["--search-weights", "train"], "is for several runs"),
        (["--out", "/proc/no/result.json"], "cannot write /proc/no/result.json ("),
        (["--out", tmp_path], "choose a file with --out"),
    ]:
        code, _, err = evaluate(capsys, store, run, *words)
        assert (code, err.count("\n")) == (2, 1)
        assert named in err


def test_an_unfinished_run_is_tested_with_a_note(make_run, store, capsys) -> None:
    run = make_run("run")
    run.metrics_file.write_text('{"event": "stopped", "step": 9, "epoch": 2}\n')
    assert "note: run is unfinished, at epoch 2 of 3, update 9" in evaluate(capsys, store, run.path)[2]
    run.metrics_file.write_text('{"event": "result", "step": 9, "epoch": 3}\n')
    assert "unfinished" not in evaluate(capsys, store, run.path)[2]


@pytest.mark.parametrize(
    ("views", "hint"),
    [
        ("ten", "; --views center takes a tenth of that"),
        ("dense", "; --views center is faster"),
        ("center", ""),
    ],
)
def test_a_long_test_is_announced_once_its_speed_is_known(views: str, hint: str) -> None:
    now, lines, counts = [0.0], list[str](), list[int]()
    advance = announcing(counts.append, 1000, ViewSet(views), lines.append, clock=lambda: now[0])
    for seconds in (70, *9 * (30,)):  # the first batch includes start-up
        now[0] += seconds
        advance(100)
    assert lines == [f"note: testing 1,000 images with the views {views} takes about 5 min{hint}"]
    assert counts == 10 * [100]


def test_a_short_test_is_not_announced() -> None:
    now, lines = [0.0], list[str]()
    advance = announcing(lambda count: None, 1000, ViewSet("ten"), lines.append, clock=lambda: now[0])
    for seconds in (500, 1, 1, 500):  # neither start-up nor a later pause shows how long all images take
        now[0] += seconds
        advance(100)
    assert lines == []


def test_an_ensemble_of_one_is_one_row(make_run, store, tmp_path, capsys) -> None:
    run = make_run("one/net")
    run.metrics_file.write_text('{"event": "result", "step": 9, "epoch": 3}\n')
    description = {"name": "x", "members": [{"name": "net", "pretraining": False}]}
    (tmp_path / "one" / "ensemble.json").write_text(json.dumps(description))
    assert evaluate(capsys, store, tmp_path / "one")[1].count("\nnet ") == 1


def test_weights_given_and_searched_are_written_down(make_run, store, capsys) -> None:
    runs = [make_run(f"run-{seed}", seed).path for seed in range(2)]
    assert (
        "logit mean of 2 runs weighted 3, 1 "
        in evaluate(capsys, store, *runs, "--weights", "3,1", "--mean", "logits")[1]
    )
    _, out, _ = evaluate(capsys, store, *runs, "--json", "--weights", "3,1", "--mean", "logits")
    given = json.loads(out)
    assert (given["mean"], given["weights"], given["weights_searched_on"]) == ("logits", [3.0, 1.0], None)
    _, out, _ = evaluate(capsys, store, *runs, "--json", "--search-weights", "train")
    searched = json.loads(out)
    assert searched["weights_searched_on"] == "train"
    elsewhere = [predictions.load(predictions.path_of(run, "train", "ten")) for run in runs]
    assert searched["weights"] == list(ensemble.search_weights(elsewhere))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--search-weights", "val"], "would be optimistic"),
        (["--search-weights", "tset"], "no split 'tset'"),
        (["--weights", "1,,2"], "list of numbers"),
        (["--search-weights", "train", "--weights", "1,1"], "exclude"),
        (["--weights", "1,x"], "list of numbers"),
        (["--weights", "1,2,3"], "3 weights for 2 runs"),
        (["--mean", "ranks"], "probabilities or logits"),
    ],
)
def test_wrong_averaging_is_one_line_before_anything_is_tested(
    make_run, store, capsys, monkeypatch, words, named
) -> None:
    runs = [make_run(f"run-{seed}", seed).path for seed in range(2)]
    monkeypatch.setattr(prediction_cache, "infer_images", lambda *words: pytest.fail("tested"))
    code, _, err = evaluate(capsys, store, *runs, *words)
    assert code == 2
    assert named in err.splitlines()[-1]


def test_a_run_for_other_classes_is_refused_before_anything_is_tested(
    make_run, store, capsys, monkeypatch
) -> None:
    first, second = make_run("first"), make_run("second")
    net = make_net(store)
    others = [Class(f"n9999999{label}", f"other {label}") for label in range(CLASSES)]
    write_checkpoint(second, replace(net, classes=others), "last")
    monkeypatch.setattr(prediction_cache, "infer_images", lambda *words: pytest.fail("tested"))
    code, _, err = evaluate(capsys, store, first.path, second.path)
    assert code == 3
    assert "classes of" in err
    assert "second differ: only in the first: n00000000" in err
    assert not (first.path / "evaluation.json").exists()


def test_members_with_another_order_of_classes_are_averaged_by_wnid(make_run, store, capsys) -> None:
    first, second = make_run("first"), make_run("second")
    _, straight, _ = evaluate(capsys, store, first.path, second.path, "--json")
    write_checkpoint(second, shuffled(make_net(store), [3, 1, 0, 6, 5, 4, 2]), "last")
    _, crossed, _ = evaluate(capsys, store, first.path, second.path, "--json")
    assert json.loads(straight)["top1_error"] == json.loads(crossed)["top1_error"]
    saved = [predictions.load(predictions.path_of(run.path, "val", "ten")) for run in (first, second)]
    np.testing.assert_allclose(saved[0].probabilities, saved[1].probabilities, atol=1e-5)


@pytest.fixture
def sliding(make_run, store):
    """A run of a small AlexNet."""
    run = make_run("sliding")
    settings = ModelConfig(
        variant="caffe", architecture=replace(ALEXNET_VARIANTS["caffe"], widths=(8, 8, 8, 8, 8, 32, 32))
    )
    model = registry.build(settings, CLASSES, CROP)
    net = replace(make_net(store), model=model, config=replace(run.config(), model=settings))
    run.config_file.write_text(json.dumps(to_dict(net.config)))
    write_checkpoint(run, net, "last")
    return run


def test_an_entry_names_views_scales_and_what_a_photo_cost(sliding, store, prepared, capsys) -> None:
    shown = ["--views", "dense", "--scales", "80,72,80"]
    code, out, _ = evaluate(capsys, prepared(shape="whole"), sliding.path, "--json", *shown)
    assert code == 0
    entry = json.loads(out)
    assert (entry["views"], entry["scales"], entry["photos"]) == ("dense@72,80", [72, 80], "whole")
    evaluate(capsys, store, sliding.path, *shown)
    evaluate(capsys, store, sliding.path, "--views", "dense")
    evaluate(capsys, store, sliding.path, "--views", "ten")
    entries = json.loads((sliding.path / "evaluation.json").read_text())
    assert [(each["views"], each["photos"]) for each in entries] == [
        ("dense@72,80", "whole"),
        ("dense@72,80", "square"),
        ("dense", "square"),
        ("ten", "square"),
    ]
    costs = [each["multiply_adds"] for each in entries]
    assert costs[0] > costs[1] > costs[2] > 0
    assert costs[3] == 10 * summarize(sliding.config(), CLASSES).multiply_adds
    assert all(each["seconds"] > 0 and each["device"] for each in entries)
    saved = predictions.load(predictions.path_of(sliding.path, "val", "dense@72,80"))
    assert (saved.views, saved.scales.tolist()) == (ViewSet("dense", (72, 80)), [72, 80])


def test_a_test_of_other_scales_is_another_test(sliding, store, capsys) -> None:
    for scales in ("72", "72,80"):
        assert evaluate(capsys, store, sliding.path, "--views", "dense", "--scales", scales)[0] == 0
    names = sorted(path.name for path in (sliding.path / "predictions").iterdir())
    assert names == ["val-dense@72,80.npz", "val-dense@72.npz"]
    table = evaluate(capsys, store, sliding.path, "--views", "dense", "--scales", "72,80")[1]
    assert " dense@72,80 " in table


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--views", "dense"], "alexnet-2012 cannot slide over photos"),
        (["--views", "multi-crop", "--scales", "60,72"], "scale 60 is smaller than the 64 pixels"),
        (["--scales", "72,x"], "--scales 72,x is not a list of pixels, such as 256,384,512"),
        (["--scales", "72,,80"], "is not a list of pixels"),
        (
            ["--views", "dens"],
            "choose from: center, ten, multi-crop, dense, dense+multi-crop",
        ),
    ],
)
def test_views_that_do_not_fit_are_one_line(make_run, store, capsys, words, named) -> None:
    run = make_run("run")
    code, _, err = evaluate(capsys, store, run.path, *words)
    lines = [line for line in err.splitlines() if line.startswith("alexnet:")]
    assert (code, len(lines)) == (2, 1)
    assert named in lines[0]
    assert not (run.path / "evaluation.json").exists()


def test_two_runs_tested_densely_are_averaged(sliding, make_run, store, tmp_path, capsys) -> None:
    other = tmp_path / "other"
    shutil.copytree(sliding.path, other, symlinks=True)
    code, out, _ = evaluate(
        capsys, store, sliding.path, other, "--json", "--views", "dense", "--scales", "72,80"
    )
    entry = json.loads(out)
    assert (code, entry["views"], entry["scales"]) == (0, "dense@72,80", [72, 80])
    assert entry["multiply_adds"] == 2 * entry["members"][0]["multiply_adds"]
