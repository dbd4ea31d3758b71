"""A run with the towers on two devices equals that on one device up to rounding, and its files are used in
the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.models import AlexNet, bundle
from alexnet.runs.metrics_log import read_metrics

ON_TWO = "model.tower_devices=cpu,cpu"


def train(store: Store, run: Path, *more: str) -> int:
    settings = [*tiny.SETTINGS, *tiny.TOWERS, "model.dropout=0", "schedule.epochs=2", *more]
    return main(["train", tiny.RECIPE, "--store", str(store.path), "--run", str(run), *settings])


def lines(run: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in read_metrics(run / "metrics.jsonl") if line["event"] == event]


def assert_same_course(run: Path, wanted: Path) -> None:
    for found, line in zip(lines(run, "train"), lines(wanted, "train"), strict=True):
        assert found["loss"] == pytest.approx(line["loss"], rel=1e-4)
    for found, line in zip(lines(run, "validation"), lines(wanted, "validation"), strict=True):
        assert found["nll"] == pytest.approx(line["nll"], rel=1e-4)


def test_a_run_is_that_of_one_device_and_is_used_on_one(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(tiny_store, one) == 0
    capsys.readouterr()
    assert train(tiny_store, two, ON_TWO) == 0
    assert "threads) and cpu (" in capsys.readouterr().out
    assert_same_course(two, one)
    net = bundle.load(two / "checkpoints" / "last" / "weights.safetensors", "cpu").model
    assert isinstance(net, AlexNet)
    Image.new("RGB", (80, 80)).save(tmp_path / "photo.png")
    assert main(["evaluate", str(two), "--store", str(tiny_store.path), "--views", "ten"]) == 0
    assert main(["predict", str(tmp_path / "photo.png"), "--model", str(two)]) == 0
    assert train(tiny_store, tmp_path / "third", ON_TWO, "--init-from", str(two)) == 0
    assert "copied: conv1.weight" in capsys.readouterr().out


@pytest.mark.parametrize(("before", "after"), [(ON_TWO, ""), ("", ON_TWO)], ids=["to one", "to two"])
def test_a_stopped_run_resumes_with_its_towers_on_other_devices(
    tiny_store: Store, tmp_path: Path, before: str, after: str
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train(tiny_store, whole) == 0
    assert train(tiny_store, run, *filter(None, [before]), "--minutes", "0") == 75
    assert train(tiny_store, run, after or "model.tower_devices=", "--resume") == 0
    assert_same_course(run, whole)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([ON_TWO, "model.variant=caffe"], "needs a model of two towers"),
        (["model.tower_devices=cuda:0,cpu"], "two devices of one kind"),
        (["model.tower_devices=cuda:998,cuda:999"], "needs cuda:999"),
        (
            [ON_TWO, "--device", "cuda:0"],
            "--device cuda:0 is not the first device of model.tower_devices=cpu,cpu",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_folder(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert train(tiny_store, tmp_path / "run", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
