"""Files of version 0.1 are read and give the same predictions."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import alexnet
from alexnet.cli.main import main
from alexnet.data.loader import Batching, Loader
from alexnet.data.store import Store
from alexnet.old_names import new_settings

FOLDER = Path(__file__).parents[1] / "data" / "made-by-0.1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
TOLERANCE = 1e-6
"""Tolerance of a number; on the processor that made them they are bit for bit the same."""
VIEWS = {"usual": "", "centre": "center"}
COMMANDS = [each for each in EXPECTED["commands"] if each["command"][0] in ("evaluate", "similar")]
EVALUATED = {command["command"][1] for command in COMMANDS if command["command"][0] == "evaluate"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old") / "made-by-0.1"
    shutil.copytree(FOLDER, folder, symlinks=True)
    return folder


@pytest.fixture
def old(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, and the current directory."""
    monkeypatch.chdir(copied)
    return copied


def renamed(value: Any) -> Any:
    """British spellings of version 0.1 in American ones."""
    if isinstance(value, dict):
        return {renamed(key): renamed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each) for each in value]
    if isinstance(value, str):
        return value.replace("centre", "center").replace("neighbours", "neighbors")
    return value


BASELINES = {
    "whole image": "whole_image",
    "center box of mean size": "center_box_of_mean_size",
    "class-mean box": "class_mean_box",
}


def same(found: Any, wanted: Any, where: str = "") -> list[str]:
    """What of `wanted` is missing from `found` or has another value there; numbers within their tolerance."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = {key: BASELINES.get(key, key) for key in wanted}
        return [line for key in keys for line in same(found.get(keys[key]), wanted[key], f"{where}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = zip(found, wanted, strict=True)
        return [line for i, (a, b) in enumerate(pairs) for line in same(a, b, f"{where}[{i}]")]
    if isinstance(wanted, float) and isinstance(found, float | int):
        # A distance is the root of a sum of small differences, which double the rounding of features.
        tolerance = 10 * TOLERANCE if where.endswith(".distance") else TOLERANCE
        close = abs(found - wanted) <= tolerance * max(1, abs(wanted))
        return [] if close else [f"{where}: {found} {wanted}"]
    return [] if found == wanted else [f"{where}: {found!r}, not {wanted!r}"]


@pytest.mark.parametrize("name", EXPECTED["stores"])
def test_stores_hold_what_they_held(old: Path, name: str) -> None:
    store, wanted = Store.open(name), EXPECTED["stores"][name]
    assert store.digest == wanted["digest"]
    assert [[each.wnid, each.name] for each in store.classes] == wanted["classes"]
    for split_name, recorded in wanted["splits"].items():
        split = store.split(split_name)
        assert (split.labels.tolist(), split.keys()) == (recorded["labels"], recorded["keys"])
        assert hashlib.sha256(split[0].image).hexdigest() == recorded["first_stored_sha256"]
        boxes = [[list(map(float, box)) for box in split.boxes(number)] for number in range(3)]
        assert boxes == recorded["boxes"]
        if "first_decoded_sha256" in recorded:
            batch = next(iter(Loader(split, Batching(3, order="sequential")).batches()))
            digests = [hashlib.sha256(np.ascontiguousarray(each)).hexdigest() for each in batch.images]
            assert digests == recorded["first_decoded_sha256"]


@pytest.mark.parametrize("path", EXPECTED["models"])
def test_runs_and_exported_files_predict_what_they_predicted(old: Path, path: str) -> None:
    wanted, classifier = EXPECTED["models"][path], alexnet.load(path, device="cpu")
    assert [[each.wnid, each.name] for each in classifier.classes] == wanted["classes"]
    for views, rows in wanted["probabilities"].items():
        found = classifier.probabilities(wanted["photos"], views=VIEWS[views])
        expected = [[float.fromhex(each) for each in row] for row in rows]
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kept", [True, False], ids=["from kept predictions", "predicted again"])
def test_evaluations_are_those_of_then(old: Path, kept: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if not kept:
        for folder in [*old.rglob("predictions"), *old.rglob("features")]:
            if "stopped" not in folder.parts:  # where `features` are the state of a classic pipeline
                shutil.rmtree(folder)
    apart: list[str] = []
    for number, each in enumerate(COMMANDS):
        capsys.readouterr()
        assert main([renamed(word) for word in each["command"]]) == 0, capsys.readouterr().err
        found, wanted = json.loads(capsys.readouterr().out), renamed(each["json"])
        if "best" in each["command"]:  # then the epochs of the whole run were reported
            assert found["runs"][0].pop("epochs") < wanted["runs"][0].pop("epochs")
        apart += same(found, wanted, f"{number} {' '.join(each['command'])}")
    assert not apart


REMOVED_SHIFTS = (
    "model.after.conv5.batchnorm.bias",
    "model.after.fc6.batchnorm.running_mean",
)
"""A shift that the batch normalization of fc6 removes, and the mean that removes it. The gradient is zero up
to rounding, which depends on the processor, and AdamW moves by the learning rate whatever its size."""
MOST_DRIFT = 6 * 0.001
"""Updates after the stop times the learning rate."""
CLASSIC_ROUNDING = 3e-4
"""Rounding depends on the processor. Four of the 54 weights and biases of the small pipeline here were apart
by up to 0.00013 between processors with AVX2 and with AVX-512, by the same version of the program."""


@pytest.mark.parametrize("name", ["krizhevsky-sgd", "adamw-average", "classic"])
def test_a_stopped_run_resumes_and_ends_as_if_nothing_had_stopped_it(old: Path, name: str) -> None:
    run = old / "stopped" / name
    config = json.loads((run / "config.json").read_text())
    where = ["--store", "prepared/three", "--run", str(run), "--device", "cpu", "--resume"]
    assert main(["train", config["recipe"], *where]) == 0
    found = load_file(run / "checkpoints" / "last" / "weights.safetensors")
    with np.load(old / "stopped" / f"{name}-final.npz") as wanted:
        assert {*found} == {*wanted}
        for tensor in wanted:
            rounding = CLASSIC_ROUNDING if name == "classic" else 1e-6
            atol = MOST_DRIFT if tensor in REMOVED_SHIFTS else rounding
            np.testing.assert_allclose(found[tensor], wanted[tensor], rtol=1e-4, atol=atol)


def test_a_folder_of_claims_is_recognized_by_settings_with_current_keys(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((old / "workshop" / "lrn" / "claim.json").read_text())
    settings = [
        "model.variant=2012",
        "conv1_size=5",
        "conv1_stride=1",
        "widths=[8,8,8,8,4,8,8]",
        "initialization=kaiming",
        "mirror=no",
        "batch_size=8",
        "epochs=3",
        "lr=0.0005",
        "dropout=0.1",
    ]
    assert main(["claims", "lrn", "--store", "prepared/digits", "--run", "workshop", *settings]) == 0
    after = json.loads((old / "workshop" / "lrn" / "claim.json").read_text())
    numbers = [[each["numbers"] for each in document["comparisons"]] for document in (after, before)]
    assert not same(numbers[0][:2], numbers[1][:2])  # the others are measured again: memory and time
    assert main(["claims", "lrn", "--store", "prepared/digits", "--run", "workshop", *settings[:-1]]) == 2
    assert re.search(r"made for other runs.*model\.dropout", capsys.readouterr().err)


def test_ensembles_are_recognized_by_settings_with_current_keys(old: Path) -> None:
    described = json.loads((old / "ensembles" / "two" / "ensemble.json").read_text())
    typed = new_settings(described["members"][0]["settings"])
    settings = [each for each in typed if not each.startswith("training.seed=")]
    words = ["ensemble", described["name"], "--nets", "2", "--store", "prepared/three"]
    assert main([*words, "--out", "ensembles/two", "--device", "cpu", *settings]) == 0
