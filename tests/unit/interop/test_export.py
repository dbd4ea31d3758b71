from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from safetensors import safe_open

import alexnet
from alexnet import __version__
from alexnet.cli.main import main
from alexnet.config import RunConfig, from_dict
from alexnet.interop.export import PRECISIONS
from alexnet.io import write_json
from alexnet.models import bundle
from alexnet.models.bundle import TERMS

SQUARES = np.random.default_rng(2).integers(
    0, 256, (4, tiny.SIDE_PIXELS, tiny.SIDE_PIXELS, 3), dtype=np.uint8
)


def export(capsys, *words: object) -> tuple[int, str, str]:
    code = main(["export", *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def metadata(path: Path) -> dict:
    with safe_open(path, "pt") as opened:
        return {key: json.loads(text) for key, text in opened.metadata().items()}


def test_all_metadata_is_exported(make_run, store, tmp_path, capsys) -> None:
    run = make_run()
    assert main(["evaluate", str(run.path), "--store", str(store.path), "--device", "cpu"]) == 0
    capsys.readouterr()
    words = ("--license", "CC0-1.0", "--data-terms", "made up")
    code, out, _ = export(capsys, run.path, tmp_path / "new" / "net.safetensors", *words)
    assert code == 0
    found = metadata(tmp_path / "new" / "net.safetensors")
    assert from_dict(RunConfig, found["config"]) == tiny.config()
    assert found["classes"] == [{"wnid": each.wnid, "name": each.name} for each in store.classes]
    assert found["preprocessing"]["resized"] == store.manifest.resized
    terms = {"code_license": "BSD-3-Clause", "weights_license": "CC0-1.0", "data_terms": "made up"}
    assert found["terms"] == terms
    (entry,) = json.loads((run.path / "evaluation.json").read_text())
    (errors,) = found["provenance"].pop("errors")
    assert errors["top1_error"] == entry["top1_error"]
    assert errors["views"] == "ten"
    assert "classes" not in errors
    assert found["provenance"] == {
        "run": "run",
        "recipe": tiny.RECIPE,
        "checkpoint": "last",
        "finished": True,
        "alexnet": __version__,
        "seed": 0,
        "began_with": None,
        "epochs": 3,
        "updates": 18,
        "training_error": None,
        "store": "store",
        "store_digest": store.digest,
    }
    assert all(
        text in out for text in ("CC0-1.0", "made up", f"{100 * entry['top1_error']:.1f} %", "predict PHOTO")
    )


def test_an_exported_file_predicts_as_its_run_does_and_has_its_licenses(
    make_run, tmp_path, capsys, store
) -> None:
    run, file = make_run(), tmp_path / "net.safetensors"
    assert export(capsys, run.path, file)[0] == 0
    ours, theirs = alexnet.load(run.path, "cpu"), alexnet.load(file, "cpu")
    np.testing.assert_array_equal(ours.probabilities(SQUARES), theirs.probabilities(SQUARES))
    assert theirs.terms == TERMS
    assert theirs.provenance is not None
    assert theirs.provenance.seed == 0
    photo = next((store.path.parent / "photos" / "val").rglob("*.png"))
    code = main(["predict", str(photo), "--model", str(file), "--terms", "--json", "--device", "cpu"])
    shown = capsys.readouterr()
    assert code == 0
    assert json.loads(shown.out)
    assert TERMS["data_terms"] in shown.err


def test_a_file_that_is_overwritten_is_named(make_run, tmp_path, capsys) -> None:
    run, file = make_run(), tmp_path / "net.safetensors"
    assert "replaced" not in export(capsys, run.path, file)[1]
    printed = export(capsys, run.path, file)[1]
    assert f"{file}, replaced: " in printed
    assert "license of the weights: not stated (set it with --license)" in printed
    assert "ImageNet" not in printed


def test_an_exported_file_has_default_permissions(make_run, tmp_path, capsys) -> None:
    (tmp_path / "new").touch()
    assert export(capsys, make_run().path, tmp_path / "net.safetensors")[0] == 0
    assert (tmp_path / "net.safetensors").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_errors_of_other_weights_are_not_exported(make_run, store, tmp_path, capsys) -> None:
    run = make_run()
    assert main(["evaluate", str(run.path), "--store", str(store.path), "--device", "cpu"]) == 0
    assert export(capsys, run.path, tmp_path / "best.safetensors", "--checkpoint", "best")[0] == 0
    assert metadata(tmp_path / "best.safetensors")["provenance"]["errors"] == []
    # A run that was trained further since, though not to the next epoch.
    (run.checkpoints / "last" / "meta.json").write_text('{"step": 19, "epoch": 3}')
    assert export(capsys, run.path, tmp_path / "later.safetensors")[0] == 0
    assert metadata(tmp_path / "later.safetensors")["provenance"]["errors"] == []


def test_an_unfinished_run_is_exported_only_on_request(make_run, tmp_path, capsys) -> None:
    run = make_run(log='{"event": "train", "step": 1300, "epoch": 2}\n')
    write_json(run.checkpoints / "last" / "meta.json", {"step": 1200, "epoch": 2})
    file = tmp_path / "net.safetensors"
    code, _, error = export(capsys, run.path, file)
    assert code == 3
    assert "unfinished, at epoch 2 of 3, update 1,200: resume it with alexnet train" in error
    assert "--resume, or add --unfinished" in error
    assert error.count("\n") == 1
    assert not file.exists()
    code, out, _ = export(capsys, run.path, file, "--unfinished")
    assert code == 0
    assert ", unfinished" in out
    assert metadata(file)["provenance"]["finished"] is False


def test_an_exported_file_can_be_exported_again_and_keeps_its_metadata(make_run, tmp_path, capsys) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert export(capsys, make_run().path, first, "--license", "CC0-1.0")[0] == 0
    assert export(capsys, first, second, "--data-terms", "none")[0] == 0
    terms = {**metadata(first)["terms"], "data_terms": "none"}
    wanted, found = metadata(first), metadata(second)
    assert wanted.pop("checksum") != found.pop("checksum")
    assert found == {**wanted, "terms": terms}


@pytest.mark.parametrize("name", ["net.pt", "net", "net.safetensors.zip"])
def test_another_suffix_is_a_command_error(make_run, tmp_path, capsys, name) -> None:
    code, _, error = export(capsys, make_run().path, tmp_path / name)
    assert code == 2
    assert "its name must end in .safetensors or .onnx" in error
    assert not (tmp_path / name).exists()


def test_a_full_disk_leaves_the_old_file(make_run, tmp_path, monkeypatch, capsys) -> None:
    run, file = make_run(), tmp_path / "net.safetensors"
    file.write_text("older")

    def full(tensors: object, path: Path, texts: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "save_file", full)
    assert export(capsys, run.path, file)[0] == 1
    assert file.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.safetensors", "run"]


def test_evaluate_accepts_exported_files_alone_and_with_runs(make_run, store, tmp_path, capsys) -> None:
    run, file = make_run(), tmp_path / "net.safetensors"
    export(capsys, run.path, file)
    tail = ["--store", str(store.path), "--device", "cpu", "--json"]
    assert main(["evaluate", str(run.path), *tail]) == 0
    wanted = json.loads(capsys.readouterr().out)
    shutil.copy(run.path / "evaluation.json", tmp_path / "before.json")
    assert main(["evaluate", str(file), *tail, "--out", str(tmp_path / "out.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == [{**wanted["runs"][0], "run": "net.safetensors"}]
    not_compared = {"runs": 0, "seconds": 0.0}
    assert {**found, **not_compared} == {**wanted, **not_compared}
    assert json.loads((tmp_path / "out.json").read_text()) == found
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("before.json", "net.safetensors", "out.json", "run")
    ]
    assert main(["evaluate", str(run.path), str(file), *tail]) == 0
    both = json.loads(capsys.readouterr().out)
    assert both["top1_error"] == wanted["top1_error"]
    assert [each["run"] for each in both["runs"]] == ["run", "net.safetensors"]


def test_a_fit_that_chose_a_classic_pipeline_names_what_to_type(make_run, store, tmp_path, capsys) -> None:
    from alexnet.errors import CommandError
    from alexnet.runs.fit_record import CandidateResult, Fit
    from alexnet.runs.run_dir import EnsembleDir, EnsembleMember

    fit = tmp_path / "fit"
    fit.mkdir()
    (fit / "store").symlink_to(store.path)
    losses = {"small": 0.9, "fine-tuned": 0.5, "sift-fv": 0.1}
    for name in ("small", "fine-tuned"):
        make_run().path.rename(fit / name)
    channel = {"descriptor": "root-sift", "step": 12, "patches": [16], "pca": 8, "codebook_size": 4}
    settings = ["data.image_size=72", "data.input_size=72", "classic.sample_descriptors=900"]
    words = ["--store", str(store.path), "--run", str(fit / "sift-fv"), *settings]
    assert main(["train", "sift-fv", *words, f"classic.channels={json.dumps([channel])}"]) == 0

    def choose(*chosen: str) -> None:
        candidates = tuple(
            CandidateResult(name, name, name, 1.0, 0, 1, None, 1, loss) for name, loss in losses.items()
        )
        Fit("photos", "", 1.0, candidates=candidates, chosen=chosen).write(fit)
        members = [EnsembleMember(name=name, pretraining=False) for name in chosen]
        EnsembleDir(fit).write("fit", members)

    choose("sift-fv")
    for words in ([tmp_path / "net.onnx"], ["--web", tmp_path / "page"]):
        code, _, err = export(capsys, fit, *words)
        assert code == 2
        assert f"so ONNX cannot represent it: export {fit / 'fine-tuned'}\n" in err
    photo = str(next((store.path.parent / "photos" / "val").rglob("*.png")))
    with pytest.raises(CommandError, match="in Python with layer=: channel1"):
        alexnet.load(fit, "cpu").features(photo)
    assert alexnet.load(fit, "cpu").features(photo, layer="channel1").shape[0] == 1
    assert main(["similar", photo, "--model", str(fit)]) == 2
    assert "choose one of its layers with --layer" in capsys.readouterr().err
    assert main(["similar", photo, "--model", str(fit), "--layer", "channel1"]) == 0
    choose("sift-fv", "small")
    code, _, err = export(capsys, fit, tmp_path / "net.onnx")
    assert (code, err.rpartition(": ")[2].strip()) == (2, f"export {fit / 'small'}")
    assert main(["similar", photo, "--model", str(fit)]) == 2
    assert f"type --model {fit / 'sift-fv'} or {fit / 'small'}" in capsys.readouterr().err


def test_the_metadata_is_read_without_the_weights(make_run, tmp_path, capsys) -> None:
    file = tmp_path / "net.safetensors"
    export(capsys, make_run().path, file)
    assert bundle.load_metadata(file).config == tiny.config()


def test_the_old_spelling_of_the_license_option_is_accepted_but_hidden(make_run, tmp_path, capsys) -> None:
    file = tmp_path / "net.safetensors"
    assert export(capsys, make_run().path, file, "--licence", "CC0-1.0")[0] == 0
    assert bundle.load_metadata(file).terms["weights_license"] == "CC0-1.0"
    assert main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--license" in shown and "--licence" not in shown


def test_bfloat16_halves_the_file_and_rounds_the_weights(make_run, tmp_path, capsys) -> None:
    run, whole, half = make_run(), tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    assert export(capsys, run.path, whole)[0] == 0
    assert export(capsys, run.path, half, "--precision", "bfloat16")[0] == 0
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    exact, rounded = (alexnet.load(file, device="cpu") for file in (whole, half))
    for name, weight in exact.model.state_dict().items():
        found = rounded.model.state_dict()[name]
        assert found.dtype == weight.dtype
        wanted = weight.bfloat16().float() if weight.ndim > 1 else weight
        assert found.equal(wanted), name
    np.testing.assert_allclose(rounded.probabilities(SQUARES), exact.probabilities(SQUARES), atol=0.02)


def test_all_types_that_can_hold_a_precision_are_named(
    make_run, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRECISIONS, ".other", ("float32", "int8"))
    error = export(capsys, make_run().path, tmp_path / "net.safetensors", "--precision", "int8")[2]
    assert "only a file of type .onnx or .other can hold int8" in error


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("model.onnx", "bfloat16", "only a file of type .safetensors can hold bfloat16"),
        ("model.safetensors", "int4", "float32, bfloat16 or int8"),
        ("model.safetensors", "int8", "only a file of type .onnx can hold int8"),
    ],
)
def test_a_precision_that_cannot_be_stored_is_refused(
    make_run, tmp_path, capsys, name, precision, message
) -> None:
    code, _, error = export(capsys, make_run().path, tmp_path / name, "--precision", precision)
    assert code == 2 and message in error and not (tmp_path / name).exists()
