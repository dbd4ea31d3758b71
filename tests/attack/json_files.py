"""The JSON files of stores, runs and experiments: how each is read, and a valid one of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from alexnet.data.manifest import read_manifest
from alexnet.experiments.claim_results import read_claim
from alexnet.runs.calibration import read_calibration
from alexnet.runs.environment import Environment
from alexnet.runs.fit_record import Fit
from alexnet.runs.metrics_log import training_seconds
from alexnet.runs.provenance import position
from alexnet.runs.results import read_results
from alexnet.runs.run_dir import EnsembleDir, RunDir

RECORDED = Path(__file__).parents[2] / "results"

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


def whole(name: str, run: Path, store: Path) -> object:
    """A valid document of each kind, with what is recorded in this repository where the run has none."""
    made = {"fit.json": FIT, "calibration.json": CALIBRATION, "ensemble.json": ENSEMBLE}
    if name in made:
        return made[name]
    recorded = {"evaluation.json", "claim.json", "environment.json"}
    path = min(RECORDED.rglob(name)) if name in recorded else (store if name == "header.json" else run) / name
    return json.loads(path.read_text().splitlines()[0] if name.endswith("l") else path.read_text())
