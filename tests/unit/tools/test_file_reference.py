"""The reference of the JSON files has the fields that the files have."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import tiny
from evaluations import calibration, evaluation

from alexnet.data.manifest import Manifest
from alexnet.runs.calibration import Calibration
from alexnet.runs.checkpoints import CheckpointMeta, NetworkProgress, PipelineResult, TimeUsed
from alexnet.runs.environment import Environment, Imported
from alexnet.runs.fit_record import CandidateResult, Fit, NotTried, Suspect
from alexnet.runs.results import (
    BoxErrors,
    ClassPrecision,
    Confusion,
    DetectionResult,
    EvalResult,
    GrowthStep,
    LocalizationResult,
    Mistake,
    ViewSet,
)
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember
from tools.file_reference import FILES, files, parts_of, rows_of


def check(value: Any, hint: Any, absent: frozenset[str] = frozenset()) -> None:
    """AssertionError if an object in `value` has other fields than the reference lists for its dataclass.

    `absent` are fields that it may lack.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if value is None or hint is ViewSet:
        return
    if dataclasses.is_dataclass(hint):
        listed = {row.name for row in rows_of(typing.cast(type, hint))}
        assert set(value) - {"checksum"} == listed - absent, hint
        for name, inner in typing.get_type_hints(hint).items():
            if name in value:
                check(value[name], inner)
    elif origin in (types.UnionType, typing.Union):
        check(value, parts[0])
    elif origin in (tuple, list):
        for number, each in enumerate(value):
            check(each, parts[0] if parts[-1] is Ellipsis or origin is list else parts[number])
    elif origin is dict:
        for each in value.values():
            check(each, parts[1])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_stores_and_runs(tmp_path: Path) -> None:
    store = tiny.store(tmp_path)
    check(read(store.path / "header.json"), Manifest)
    run = tiny.run(tmp_path / "run", store)
    check(read(run.environment_file), Environment, frozenset({"imported"}))
    imported = Environment(imported=Imported("net.pth", "00", "torchvision")).to_dict()
    check(imported, Environment)
    check(imported["imported"], Imported)


def test_checkpoints() -> None:
    pace = TimeUsed(used=1.0, update_seconds=0.1)
    network = CheckpointMeta(step=1, training=NetworkProgress(pace=pace)).to_dict()
    check(network, CheckpointMeta, frozenset({"result"}))
    check(network["pace"], TimeUsed)
    ended = PipelineResult(epochs=1, errors={}, best_top1_error=0.5, seconds=1.0)
    pipeline = CheckpointMeta(step=1, training=ended).to_dict()
    of_networks = frozenset(row.name for row in rows_of(NetworkProgress))
    check(pipeline, CheckpointMeta, of_networks)
    check(pipeline["result"], PipelineResult)


def test_evaluations_and_calibrations() -> None:
    boxes = (10, 0, 5, 4, 3, 2)
    everything = evaluation(
        confusions=(Confusion("a", "b", 3),),
        mistakes=(Mistake("0", "a", "b", 0.9, 0.1),),
        localization=LocalizationResult(*boxes, {"whole_image": BoxErrors(*boxes)}),
        detection=DetectionResult(1, 1, 0.5, (ClassPrecision("a", 1, 1, 1, 0.5),)),
        mean="probabilities",
        growth=(GrowthStep(1, 0.5, (0.4, 0.6), None, None, None, None, None),),
        members={"seed-0": 151},
        measures={"ours": 0.5},
        classifies=False,
    )
    check(everything.to_dict(), EvalResult)
    check(calibration().to_dict(), Calibration)


def test_fits_and_ensembles(tmp_path: Path) -> None:
    fit = Fit(
        *("photos", "", 1.0),
        candidates=(CandidateResult("linear", "", "", 1.0, 0, 0, None, 0, 0.5),),
        not_tried=(NotTried("small", "too slow"),),
        suspects=(Suspect("train", "0", "a", "b"),),
    )
    fit.write(tmp_path)
    check(read(tmp_path / "fit.json"), Fit)
    folder = EnsembleDir(tmp_path)
    folder.write("nets", [EnsembleMember(name="seed-0", pretraining=False)])
    written = read(folder.members_file)
    assert set(written) == {"name", "members", "checksum"}
    check(written["members"], list[EnsembleMember])


def test_a_field_that_is_not_listed_is_found() -> None:
    with pytest.raises(AssertionError):
        check({"name": "small", "reason": "too slow", "other": 1}, NotTried)


def test_every_field_has_a_meaning_and_every_object_a_table() -> None:
    text = files()
    for file in FILES:
        assert f"\n## {file.path}\n" in f"\n{text}"
        for kind in (file.kind, *parts_of(file.kind)):
            assert all(row.meaning and row.value for row in rows_of(kind)), kind
            assert kind is file.kind or f"\n### {kind.__name__}\n" in text
    assert (
        "| `temperature` | Logits are divided by it; above 1 for a model that is too confident. | a number |"
        in text
    )
    assert "| `views` | The views whose probabilities it calibrates. | text, such as `ten`" in text
    assert "early-stop" in text.partition("## RUN/metrics.jsonl")[2]
