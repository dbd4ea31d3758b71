"""`calibration.json` of a run or an ensemble: the temperature for its probabilities, and a minimum score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.checksum import write_json_with_checksum
from alexnet.json_reader import check_version, read_object
from alexnet.runs.provenance import position
from alexnet.runs.results import Rate, ViewSet
from alexnet.runs.run_dir import RunDir, members_of
from alexnet.serialization import from_dict, to_dict
from alexnet.text import percentage

CALIBRATION_FILE = "calibration.json"
CALIBRATION_FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A calibration of a run's last checkpoint, on photos that it was not trained on."""

    temperature: float
    """Logits are divided by it; above 1 for a model that is too confident."""
    views: ViewSet
    """The views whose probabilities it calibrates."""
    store: str
    """Name of the store."""
    store_digest: str
    """SHA-256 over the hashes of the store's shards."""
    split: str
    """The split whose photos it was fitted to."""
    images: int
    """Number of photos."""
    updates: int | None = None
    """Of the calibrated checkpoint, of an ensemble their sum; None if unknown, as for imported weights."""
    calibration_error_before: float
    """Expected calibration error, a fraction."""
    calibration_error_after: float
    """The same after calibration, cross-validated: the temperature for each photo was fitted without it."""
    nll_before: float
    """Mean negative log-likelihood of the true class."""
    nll_after: float
    """The same after calibration, cross-validated."""
    wanted_accuracy: float
    """Of the photos that `min_score` keeps, a fraction."""
    min_score: float | None
    """The smallest score of the most probable class with which the kept photos reach that accuracy; None if
    no score does."""
    kept: int = 0
    """Photos with that score or a higher one."""
    kept_errors: int = 0
    """Those of them whose most probable class is wrong."""
    predicted_by: tuple[str, ...] = ()
    """The runs whose mean predictions were calibrated, relative to the calibrated one, if they are others:
    its models before they were also trained on these photos."""

    @property
    def kept_error(self) -> Rate | None:
        """The error of the kept photos; None without any."""
        return Rate.of(self.kept_errors, self.kept) if self.kept else None

    def apply(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N, K) calibrated probabilities; the order of the classes does not change."""
        return tempered(probabilities, self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format_version": CALIBRATION_FORMAT_VERSION,
            **to_dict(self),
            "views": str(self.views),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """From what `to_dict` returned; ValueError, KeyError or ConfigError if it is something else."""
        made = dict(values)
        version = made.pop("format_version")
        check_version(version, CALIBRATION_FORMAT_VERSION)
        found = from_dict(cls, {**made, "views": to_dict(ViewSet.parse(made["views"]))})
        if not (math.isfinite(found.temperature) and found.temperature > 0):
            raise ValueError(f"temperature {found.temperature}")
        return found


def tempered(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """(N, K) softmax of the logarithms of the probabilities, divided by the temperature.

    For one view this is the softmax of the model's logits divided by it. A probability of 0 counts as the
    smallest normal float32. Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    if temperature == 1 or not probabilities.size:
        return probabilities
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / np.float32(temperature)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def describe_calibration(found: Calibration) -> list[str]:
    """Sentences on the temperature, what it changed, and the minimum score."""
    before, after = percentage(found.calibration_error_before), percentage(found.calibration_error_after)
    sentences = [
        f"Temperature {found.temperature:.3f}, fitted to {found.images:,} images of {found.store} "
        f"{found.split} with the views {found.views}.",
        f"Expected calibration error: {before} before, {after} after. NLL: {found.nll_before:.4f} before, "
        f"{found.nll_after:.4f} after.",
    ]
    wanted, error = percentage(found.wanted_accuracy), found.kept_error
    if found.min_score is None or error is None:
        return [*sentences, f"No minimum score reaches an accuracy of {wanted} on these images."]
    low, high = error.interval
    kept = (
        f"For an accuracy of {wanted}, the minimum score is {found.min_score:.3f}: "
        f"{percentage(found.kept / found.images)} of these images have it, and "
        f"{percentage(1 - error.error)} of those are correct (95 % interval: {percentage(1 - high)} to "
        f"{percentage(1 - low)})."
    )
    return [*sentences, kept]


def write_calibration(run: RunDir, calibration: Calibration) -> Path:
    """Writes the run's `calibration.json` atomically and returns its path."""
    path = run.path / CALIBRATION_FILE
    write_json_with_checksum(path, calibration.to_dict())
    return path


def read_calibration(run: RunDir) -> Calibration | None:
    """The calibration of the run's last checkpoint; None without one, or if the run was trained on since.

    DataError if the file has other contents.
    """
    path = run.path / CALIBRATION_FILE
    if not path.is_file():
        return None
    found = read_object(
        path, Calibration.from_dict, "has no valid calibration", "remove it and calibrate again"
    )
    return found if found.updates == calibrated_updates(run.path) else None


def calibrated_updates(path: Path) -> int | None:
    """Updates of a run's last checkpoint, of an ensemble the sum over its members; None if unknown."""
    steps = [position(RunDir(member)).step for member in members_of([path])]
    known = [step for step in steps if step is not None]
    return sum(known) if len(known) == len(steps) else None
