"""`alexnet report` for runs that lack something, for several runs, and for runs that do not fit together."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import tiny
from edited import cut_log, edit
from reports import pictures, typed

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.report import build
from alexnet.report.sections.subjects import Subject

INSIDE = (
    "Nearest training images",
    "Ten crops",
    "Activations",
    "Saliency",
    "Map of the test",
)


def test_without_its_store_the_page_shows_what_to_type(report, run: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(run, tmp_path / "moved")
    edit(moved / "environment.json", lambda each: each.update(store_path="/no" + each["store_path"]))
    seen = report(moved)
    assert f"alexnet report {moved} --store STORE --out DIR (it was trained on store)" in seen.text
    assert "Confusions" in seen.text and "First-layer filters" in seen.text
    assert not any(title in seen.text.partition("Commands")[0] for title in INSIDE[1:])


def test_a_run_in_training_is_marked(report, run: Path, tiny_store: Store, tmp_path: Path) -> None:
    young = shutil.copytree(run, tmp_path / "young")
    cut_log(young, 4, '{"event": "train", "st')
    (young / "evaluation.json").unlink()
    seen = report(young)
    assert "still in training or stopped; shown as of epoch" in seen.text
    assert (
        f"young has not been evaluated yet: type alexnet evaluate {young} --store {tiny_store.path}"
        in seen.text
    )
    assert "Predictions" in seen.text


def test_a_run_that_is_trained_meanwhile_is_shown_as_it_was(
    report, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = shutil.copytree(run, tmp_path / "young", symlinks=True)
    shutil.rmtree(young / "features", ignore_errors=True)
    cut_log(young, 4)
    meta = json.loads((young / "checkpoints" / "last" / "meta.json").read_text())
    original = build.refuse_different_data

    def trains_on(subjects: list[Subject]) -> None:
        shutil.rmtree(young / "checkpoints")
        original(subjects)

    monkeypatch.setattr(build, "refuse_different_data", trains_on)
    seen = report(young, "--detailed", "1")
    assert f"shown as of epoch {meta['epoch']} of 1, update {meta['step']:,}" in seen.text
    assert all(title in seen.text for title in ("First-layer filters", "Predictions", *INSIDE))
    assert "has no checkpoint" not in seen.text and "no weights" not in seen.text
    assert {each.name[:5] for each in (young / "features").glob("*.npy")} == {"train", "val-f"}


def test_a_run_without_checkpoints_or_a_log(report, run: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("checkpoints"))
    seen = report(bare)
    assert "bare has no checkpoint, so" in seen.text
    assert "Confusions" in seen.text
    assert not any(title in seen.text for title in ("First-layer filters", *INSIDE))
    for name in ("metrics.jsonl", "evaluation.json", "environment.json"):
        (bare / name).unlink()
    seen = report(bare)
    assert "bare has no curves: nothing has been logged yet." in seen.text
    assert "shown as of its beginning" in seen.text


@pytest.mark.slow
def test_exported_files_ensembles_and_several_runs(
    report, run: Path, tiny_store: Store, tmp_path: Path
) -> None:
    second, ensemble = shutil.copytree(run, tmp_path / "second"), tmp_path / "nets"
    assert main(["export", str(run), str(tmp_path / "net.safetensors")]) == 0
    small = [*tiny.SETTINGS, "schedule.epochs=1", "--nets", "2"]
    store = ["--store", str(tiny_store.path)]
    assert main(["ensemble", tiny.RECIPE, *store, "--out", str(ensemble), *small]) == 0
    assert main(["evaluate", str(ensemble), *store, "--views", "center"]) == 0
    seen = report(run, second, tmp_path / "net.safetensors", ensemble, *store)
    assert "Differences between the configurations" in seen.text
    assert "Errors before the export" in seen.text
    assert "An ensemble of the models seed-0, seed-1." in seen.text
    assert "Gain per additional model in nets" in seen.text
    assert "The slowest figures are left out for this model" in seen.text
    titles = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", "".join(pictures(seen))))
    assert "5 runs" in titles and "4 runs" in titles  # of the ensemble there are errors, but no curves


def test_a_run_that_was_stopped_early(report, tiny_store: Store, tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "run", tiny_store)
    stop = {"event": "early-stop", "step": 18, "epoch": 3, "waited": 2, "best_top1_error": 0.5}
    run.metrics_file.write_text(json.dumps(stop) + '\n{"event": "result", "step": 18, "epoch": 3}\n')
    seen = report(run.path, "--store", tiny_store.path)
    assert "stopped early, 2 validations after its best one: 3 epochs, 18 updates" in seen.text


def test_an_incomplete_ensemble_is_no_error(report, tiny_store: Store, tmp_path: Path) -> None:
    from alexnet.runs.run_dir import EnsembleDir, EnsembleMember

    members = [EnsembleMember(name=name, pretraining=False) for name in ("seed-0", "seed-1")]
    folder = EnsembleDir.begin(tmp_path / "nets", "n", members)
    tiny.run(folder.path / "seed-0", tiny_store)
    seen = report(folder.path, "--store", tiny_store.path)
    assert "Not all of its models are trained to the end yet." in seen.text
    assert "Predictions" in seen.text


def test_a_classic_pipeline_has_no_filters_and_no_layers(report, tmp_path: Path, tiny_store: Store) -> None:
    run = tmp_path / "classic"
    channel = {"descriptor": "root-sift", "step": 12, "patches": [16], "pca": 8, "codebook_size": 4}
    settings = ["data.image_size=72", "data.input_size=72", "training.batch_size=8", "schedule.epochs=2"]
    settings += ["classic.sample_descriptors=900", f"classic.channels={json.dumps([channel])}"]
    typed(["train", "sift-fv", "--store", str(tiny_store.path), "--run", str(run), *settings])
    assert main(["evaluate", str(run), "--store", str(tiny_store.path)]) == 0
    seen = report(run)
    assert "First-layer filters" not in seen.text
    assert "has no curves" not in seen.text
    assert "classic is a classic pipeline, not a network: it has no filters, nearest images" in seen.text
    assert "Predictions" in seen.text


def test_runs_on_different_data_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tiny.photos(tmp_path / "photos")
    for split in ("train", "val"):
        (photos / split / "class2" / "0.png").unlink()
        shutil.copytree(photos / split, tmp_path / "more" / split)
        (tmp_path / "more" / split / "class2").rename(tmp_path / "more" / split / "other")
    for source, name, message in (
        ("photos", "few", "first on store (digest"),
        ("more", "else", "class2 is in"),
    ):
        settings = PrepareSettings(side=72, encoding="raw")
        store = prepare(open_source(tmp_path / source), tmp_path / f"store-{name}", settings, workers=1)
        other = tiny.run(tmp_path / name, store).path
        out = tmp_path / f"page-{name}"
        assert main(["report", str(run), str(other), "--out", str(out)]) == 3
        error = capsys.readouterr().err.splitlines()[-1]
        assert message in error and "a report is about runs on the same data" in error
        assert not out.exists()
        if name == "else":
            assert main(["report", str(run), "--store", str(store.path), "--out", str(out)]) == 3
            assert "class2" in capsys.readouterr().err


def test_the_same_photos_at_another_size_are_the_same_data(report, run: Path, tmp_path: Path) -> None:
    source = open_source(tiny.photos(tmp_path / "photos"))
    store = prepare(source, tmp_path / "small", PrepareSettings(side=64, encoding="raw"), workers=1)
    settings = ["data.image_size=64", "data.input_size=64", *tiny.SETTINGS[2:], "schedule.epochs=1"]
    other = tmp_path / "other"
    typed(["train", tiny.RECIPE, "--store", str(store.path), "--run", str(other), *settings])
    seen = report(run, other)
    assert "data.image_size" in seen.text
    assert "small val" in "".join(pictures(seen))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{run}", "{run}"], 2, "occurs twice"),
        (["{tmp}/nowhere"], 2, "there is no"),
        (["{run}", "--store", "{tmp}/nowhere"], 3, "nowhere"),
        (["{tmp}/text.safetensors"], 3, "not a complete safetensors file"),
    ],
)
def test_mistakes_are_one_line(run: Path, tmp_path: Path, capsys, words, code, message) -> None:
    (tmp_path / "text.safetensors").write_text("no model")
    typed = [word.format(run=run, tmp=tmp_path) for word in words]
    assert main(["report", *typed, "--out", str(tmp_path / "page")]) == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_an_old_page_remains_until_a_new_one_is_complete(run: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "page"
    out.mkdir()
    (out / "report.html").write_text("old")
    monkeypatch.setattr(
        "alexnet.report.sections.evaluation.examples", lambda on, made: Path("/no/such").stat()
    )
    assert main(["report", str(run), "--detailed", "0", "--out", str(out)]) == 3
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_text() == "old"
    (tmp_path / "file").touch()
    assert main(["report", str(run), "--out", str(tmp_path / "file")]) == 2


def test_what_cannot_be_written_is_refused_before_the_work(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run), "--out", "/proc/no"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("alexnet: cannot write /proc/no/report.html (") and message.count("\n") == 1
