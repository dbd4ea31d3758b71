"""`alexnet ensemble`: all models of a row, one after the other, stopped and resumed."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
from edited import edit
from safetensors.torch import load_file

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store

PLAIN = "alexnet-2012:model.architecture.widths=[8,8,8,8,8,16,16]"
STARS = [
    f"{recipe}:model.architecture.widths=[8,8,8,8,8,8,16,16]"
    for recipe in ("alexnet-2012-star-pretrain", "alexnet-2012-star")
]
SMALL = [
    "data.image_size=72",
    "data.input_size=64",
    "schedule.epochs=1",
    "training.batch_size=8",
    "training.log_every_steps=3",
]


@pytest.fixture
def pretrain_store(tmp_path: Path) -> Store:
    """The photos of the tiny store as other classes."""
    photos = tiny.photos(tmp_path / "photos")
    for folder in photos.glob("*/class*"):
        folder.rename(folder.with_name(folder.name.replace("class", "other")))
    return prepare(
        open_source(photos), tmp_path / "pretrain-store", PrepareSettings(side=72, encoding="raw"), workers=1
    )


def ensemble(name: str, store: Store, out: Path, *words: str) -> int:
    return main(["ensemble", name, "--store", str(store.path), "--out", str(out), "--device", "cpu", *words])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "last" / "weights.safetensors")


def test_seven_cnns_star_has_its_members(
    tiny_store: Store, pretrain_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seven"
    words = [*SMALL, PLAIN, *STARS, "--pretrain-store", str(pretrain_store.path)]
    assert ensemble("7-cnns-star", tiny_store, out, *words) == 0
    description = json.loads((out / "ensemble.json").read_text())
    names = [member["name"] for member in description["members"]]
    assert names == [
        *(f"seed-{seed}" for seed in range(5)),
        *("star-0-pretrain", "star-0", "star-1-pretrain", "star-1"),
    ]
    shown = capsys.readouterr().out
    assert "# 7 of 9: star-0 (alexnet-2012-star, seed 0)" in shown
    (begun,) = [
        line
        for line in map(json.loads, (out / "star-1" / "metrics.jsonl").read_text().splitlines())
        if line["event"] == "init-from"
    ]
    # Both data sets have three classes, but not the same ones.
    weights = out / "star-1-pretrain" / "checkpoints" / "step-00000006" / "weights.safetensors"
    assert begun["path"] == str(weights)
    assert begun["new"] == dict.fromkeys(["fc8.weight", "fc8.bias"], "the source model has other classes")
    assert main(["evaluate", str(out), "--store", str(tiny_store.path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in result["runs"]] == [
        *(f"seed-{seed}" for seed in range(5)),
        "star-0",
        "star-1",
    ]
    assert [step["nets"] for step in result["growth"]] == [1, 2, 3, 4, 5, 6, 7]
    assert ensemble("7-cnns-star", tiny_store, out, *words) == 0
    assert capsys.readouterr().out.count("already trained") == 9


def test_a_stopped_ensemble_resumes_to_the_same_models(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny.SETTINGS, "--nets", "2"]
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path / "whole", *words) == 0
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path / "cut", *words, "--minutes", "0") == 75
    assert "seed-0: checkpoint saved; run the same command again to resume" in capsys.readouterr().err
    assert not (tmp_path / "cut" / "seed-1").exists()
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path / "cut", *words) == 0
    for seed in range(2):
        whole, cut = (weights(tmp_path / name / f"seed-{seed}") for name in ("whole", "cut"))
        assert all(torch.equal(whole[name], cut[name]) for name in whole)
        config = json.loads((tmp_path / "cut" / f"seed-{seed}" / "config.json").read_text())
        assert config["training"]["seed"] == seed
    seeds = [weights(tmp_path / "cut" / f"seed-{seed}")["model.fc6.weight"] for seed in range(2)]
    assert not torch.equal(*seeds)
    capsys.readouterr()
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path / "cut", *words, "schedule.epochs=9") == 2
    assert (
        "started with schedule.epochs=3 for seed-0: type the same settings again" in capsys.readouterr().err
    )
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path / "cut", *tiny.SETTINGS, "--nets", "1") == 2
    assert "started with 2 members, not 1" in capsys.readouterr().err


def test_the_same_settings_in_another_order_resume_and_so_do_more_models(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path, *tiny.SETTINGS, "--nets", "1") == 0
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path, *tiny.SETTINGS[::-1], "--nets", "2") == 0
    assert capsys.readouterr().out.count("already trained") == 1
    assert main(["evaluate", str(tmp_path), "--store", str(tiny_store.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["members"]) == 2


def test_printed_commands_train_one_model_each_with_what_it_is_initialized_from(
    tiny_store: Store, pretrain_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "star"
    words = [*SMALL, *STARS, "--pretrain-store", str(pretrain_store.path)]
    assert ensemble("1-cnn-star", tiny_store, out, *words, "--print-commands") == 0
    (line,) = capsys.readouterr().out.splitlines()
    program, *typed = shlex.split(line)
    assert program == "alexnet" and typed[-2:] == ["--only", "star-0"] and not out.exists()
    assert main([*typed, "--minutes", "0"]) == 75
    assert "star-0-pretrain: checkpoint saved" in capsys.readouterr().err
    assert main(typed) == 0
    trained = [path.parent.name for path in sorted(out.glob("*/config.json"))]
    assert trained == ["star-0", "star-0-pretrain"]
    capsys.readouterr()
    assert ensemble("1-cnn-star", tiny_store, out, *words, "--print-commands") == 0
    assert not capsys.readouterr().out.strip()
    assert ensemble("1-cnn-star", tiny_store, out, *words, "--only", "star-1") == 2
    assert "no member 'star-1'; choose from: star-0-pretrain, star-0" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_of_torchrun_train_each_model_together(tiny_store: Store, tmp_path: Path) -> None:
    words = [tiny.RECIPE, "--store", str(tiny_store.path), "--out", str(tmp_path), "--device", "cpu"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "--", "alexnet", "ensemble", *words, *tiny.SETTINGS, "--nets", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for seed in range(2):
        assert ended.stdout.count(f"# {seed + 1} of 2: seed-{seed}") == 1
        environment = json.loads((tmp_path / f"seed-{seed}" / "environment.json").read_text())
        assert environment["processes"] == 2
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and ended.stdout.count("already trained") == 2


def test_a_model_trained_otherwise_is_refused(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*tiny.SETTINGS, "--nets", "1"]
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path, *words) == 0
    edit(tmp_path / "seed-0" / "config.json", lambda config: config["optimizer"].update(lr=0.5))
    assert ensemble(tiny.RECIPE, tiny_store, tmp_path, *words) == 2
    assert "was trained with other settings (optimizer.lr: 0.5 -> " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("7-cnn-star", [], "the nearest is '7-cnns-star'"),
        ("1-cnn-star", SMALL, "--pretrain-store"),
        ("5-cnns", ["training.seed=3"], "omit it"),
        (
            "5-cnns",
            ["caffenet:data.image_size=72"],
            "no member has the recipe 'caffenet'; choose from: alexnet-2012",
        ),
        ("5-cnns", ["data.image_siez=72"], "the nearest is 'data.image_size'"),
        ("5-cnns", ["--nets", "3"], "has its own models"),
        ("5-cnns", ["data.image_size=100", "data.input_size=88"], "the store holds images of side 72"),
        ("alexnet-2012-star", SMALL, "choose 1-cnn-star or 7-cnns-star"),
    ],
)
def test_wrong_commands_are_one_line_and_leave_nothing(
    tiny_store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    message: str,
) -> None:
    assert ensemble(name, tiny_store, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_fit_leaves_nothing_half_written(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(recipe: str, run: str, *words: str) -> int:
        common = ["--store", str(tiny_store.path), "--run", str(tmp_path / run), "--device", "cpu"]
        return main(["train", recipe, *common, *SMALL, *words])

    narrow, wide = (f"model.architecture.widths=[8,8,8,8,8,{width},16,16]" for width in (8, 16))
    assert train("alexnet-2012-star-pretrain", "pre", narrow) == 0
    capsys.readouterr()
    assert train("alexnet-2012-star", "star", wide, "--init-from", str(tmp_path / "pre")) == 3
    assert "conv6.weight is 8x8x3x3 in these weights, 16x8x3x3 in this model" in capsys.readouterr().err
    assert train("alexnet-2012-star", "star", wide) == 2
    assert "fine-tunes a trained model: type --init-from RUN" in capsys.readouterr().err
    assert train("alexnet-2012-star", "star", wide, "--init-layers", "conv1") == 2
    assert "needs --init-from" in capsys.readouterr().err
    assert not (tmp_path / "star").exists()


def test_a_star_killed_before_its_first_checkpoint_does_not_resume_from_random_weights(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(recipe: str, run: str, *words: str) -> int:
        common = ["--store", str(tiny_store.path), "--run", str(tmp_path / run), "--device", "cpu"]
        return main(["train", recipe, *common, *SMALL, *words])

    narrow = "model.architecture.widths=[8,8,8,8,8,8,16,16]"
    pre = ["--init-from", str(tmp_path / "pre")]
    assert train("alexnet-2012-star-pretrain", "pre", narrow) == 0
    assert train("alexnet-2012-star", "star", narrow, *pre, "--minutes", "0") == 75
    shutil.rmtree(tmp_path / "star" / "checkpoints")
    capsys.readouterr()
    assert train("alexnet-2012-star", "star", narrow, "--resume") == 2
    assert "type the same --init-from again" in capsys.readouterr().err
    assert train("alexnet-2012-star", "star", narrow, "--resume", *pre) == 0


def test_an_ensemble_with_an_untrained_model_is_not_tested(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut"
    ensemble(tiny.RECIPE, tiny_store, out, *tiny.SETTINGS, "--nets", "2", "--minutes", "0")
    assert main(["evaluate", str(out), "--store", str(tiny_store.path)]) == 3
    assert "seed-0, seed-1 must be trained to the end" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), "--model", str(out)]) == 2
    (tmp_path / "photo.png").write_bytes(
        next((tiny_store.path.parent / "photos").rglob("*.png")).read_bytes()
    )
    assert main(["predict", str(tmp_path / "photo.png"), "--model", str(out)]) == 3
    assert "seed-0, seed-1 must be trained to the end" in capsys.readouterr().err
    assert main(["export", str(out), str(tmp_path / "model.onnx")]) == 3
    assert "seed-0, seed-1 must be trained to the end" in capsys.readouterr().err
    init_from = ["--run", str(tmp_path / "tuned"), "--init-from", str(out)]
    assert main(["train", tiny.RECIPE, "--store", str(tiny_store.path), *init_from, *tiny.SETTINGS]) == 2
    assert f"is an ensemble: choose one of its models, such as {out / 'seed-0'}" in capsys.readouterr().err


def test_models_that_would_be_on_other_devices_are_refused(
    tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "1")
    places = ["--store", str(tiny_store.path), "--pretrain-store", str(tiny_store.path)]
    words = ["1-cnn-star", *places, "--out", str(tmp_path / "out")]
    assert main(["ensemble", *words, "alexnet-2012-star:model.tower_devices=cuda:0,cuda:1"]) == 2
    assert "on cuda:1 and on cuda:2: type the same model.tower_devices" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
