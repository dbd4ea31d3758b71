"""JSON files of runs and stores with other contents: each is read, or refused in one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from changed_contents import TEXTS, changed_documents

from alexnet.data.manifest import read_manifest
from alexnet.errors import DataError
from alexnet.experiments.claim_results import read_claim
from alexnet.fitting.record import Fit
from alexnet.runs.calibration import read_calibration
from alexnet.runs.environment import Environment
from alexnet.runs.metrics_log import read_metrics, training_seconds
from alexnet.runs.provenance import position
from alexnet.runs.results import read_results
from alexnet.runs.run_dir import EnsembleDir, RunDir

RECORDED = Path(__file__).parents[2] / "results"
CHANGED = 60

READERS: dict[str, Callable[[Path], object]] = {
    "config.json": lambda folder: RunDir(folder).config(),
    "environment.json": lambda folder: Environment.read(folder / "environment.json"),
    "evaluation.json": read_results,
    "ensemble.json": lambda folder: EnsembleDir(folder).members(),
    "calibration.json": lambda folder: read_calibration(RunDir(folder)),
    "fit.json": Fit.read,
    "claim.json": read_claim,
    "header.json": read_manifest,
    "metrics.jsonl": lambda folder: training_seconds(folder / "metrics.jsonl"),
    "checkpoints/last/meta.json": lambda folder: position(RunDir(folder)),
}
FIT = {
    "photos": "photos",
    "store_digest": "00",
    "minutes": 10.0,
    "splits": {"train": 5, "val": 3},
    "candidates": [
        {
            "name": "linear",
            "title": "Linear",
            "recipe": "alexnet-modern",
            "seconds": 1.5,
            "updates": 0,
            "epochs": 0,
            "training_error": None,
            "errors": 1,
            "nll": 0.5,
        }
    ],
    "chosen": ["linear"],
    "suspects": [],
    "version": 1,
}
CALIBRATION = {
    "format_version": 1,
    "temperature": 1.5,
    "views": "ten",
    "store": "store",
    "store_digest": "00",
    "split": "val",
    "images": 20,
    "updates": 18,
    "calibration_error_before": 0.2,
    "calibration_error_after": 0.1,
    "nll_before": 1.0,
    "nll_after": 0.9,
    "wanted_accuracy": 0.9,
    "min_score": None,
}
ENSEMBLE = {
    "name": "two",
    "members": [
        {"name": "seed-0", "pretraining": False, "recipe": "alexnet-2012", "settings": ["training.seed=0"]}
    ],
}


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A run directory with weights."""
    last = tmp_path / "checkpoints" / "last"
    last.mkdir(parents=True)
    (last / "weights.safetensors").symlink_to(run / "checkpoints" / "last" / "weights.safetensors")
    (last / "meta.json").write_text('{"step": 18, "epoch": 3}')
    return tmp_path


def whole(name: str, run: Path, store: Path) -> object:
    """A valid document of each kind."""
    made = {"fit.json": FIT, "calibration.json": CALIBRATION, "ensemble.json": ENSEMBLE}
    if name in made:
        return made[name]
    recorded = {"evaluation.json", "claim.json", "environment.json"}
    path = min(RECORDED.rglob(name)) if name in recorded else (store if name == "header.json" else run) / name
    return json.loads(path.read_text().splitlines()[0] if name.endswith("l") else path.read_text())


def read_or_refuse(read: Callable[[Path], object], folder: Path, name: str) -> None:
    """Fails where anything but a DataError of one line that names the file is raised."""
    try:
        read(folder)
    except DataError as error:
        assert name in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 1500


@pytest.mark.parametrize("name", READERS)
def test_other_texts_are_refused_in_one_line(folder: Path, name: str) -> None:
    for text in TEXTS:
        (folder / name).write_bytes(text)
        read_or_refuse(READERS[name], folder, Path(name).name)


@pytest.mark.parametrize("name", READERS)
def test_documents_with_other_values_are_read_or_refused(run: Path, store, folder: Path, name: str) -> None:
    document = whole(name, run, store.path)
    (folder / name).write_text(json.dumps(document) + "\n")
    READERS[name](folder)
    for text in changed_documents(document, CHANGED, seed=1):
        (folder / name).write_text(text + "\n")
        read_or_refuse(READERS[name], folder, Path(name).name)


@pytest.mark.parametrize("text", [b"null", b"[]", b"[1]", b'{"format_version": 99}', b"\xff"])
def test_a_list_of_results_is_proven_entry_by_entry(folder: Path, text: bytes) -> None:
    (folder / "evaluation.json").write_bytes(b"[" + text + b"]")
    with pytest.raises(DataError, match=r"evaluation\.json"):
        read_results(folder)


def test_a_log_names_its_line(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"event": "start", "step": 0, "epoch": 0}\n[]\n{}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        read_metrics(folder / "metrics.jsonl")
