"""Synthetic evaluations for tests, in the form of `evaluation.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet.runs.calibration import Calibration
from alexnet.runs.results import ClassErrors, EvalResult, EvaluatedRun, ViewSet

IMAGES, CLASSES = 1000, 10


def evaluation(
    top1_errors: int = 151,
    views: str = "ten",
    *,
    recipe: str = "alexnet-2012",
    seeds: Sequence[int | None] = (0,),
    images: int = IMAGES,
    epochs: int | None = 20,
    **changes: Any,
) -> EvalResult:
    """An evaluation with one run per seed; the errors are in the first classes."""
    each = [images // CLASSES] * (CLASSES - 1)
    each.append(images - sum(each))
    wrong = [min(count, max(0, top1_errors - sum(each[:place]))) for place, count in enumerate(each)]
    values: dict[str, Any] = {
        "split": "val",
        "views": ViewSet.parse(views),
        "images": images,
        "top1_errors": top1_errors,
        "top5_errors": 12,
        "nll": 0.5,
        "per_class": tuple(
            ClassErrors(f"n{place:08}", f"class {place}", *counts)
            for place, counts in enumerate(zip(each, wrong, strict=True))
        ),
        "confusions": (),
        "store": "imagenette-128",
        "store_digest": "abc",
        "runs": tuple(EvaluatedRun(f"r{seed}", recipe, epochs, seed, "last") for seed in seeds),
    }
    return EvalResult(**{**values, **changes})


def calibration(**changes: Any) -> Calibration:
    """A calibration of the center view."""
    values: dict[str, Any] = {
        "temperature": 2.0,
        "views": ViewSet("center"),
        "store": "photos",
        "store_digest": "abc",
        "split": "val",
        "images": 22,
        "calibration_error_before": 0.25,
        "calibration_error_after": 0.125,
        "nll_before": 2.0,
        "nll_after": 1.5,
        "wanted_accuracy": 0.95,
        "min_score": 0.5,
        "kept": 10,
        "kept_errors": 1,
    }
    return Calibration(**{**values, **changes})


def write(folder: Path, *results: EvalResult) -> None:
    """Writes the `evaluation.json` of a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps([each.to_dict() for each in results]))


def record(results: Path, name: str, wrong: Mapping[str, range], **changes: Any) -> Path:
    """Writes a recorded result in which the images with these indices are misclassified, by views."""
    folder = results / name
    write(folder, *(evaluation(len(images), views, **changes) for views, images in wrong.items()))
    (folder / "wrong.json").write_text(json.dumps({views: list(images) for views, images in wrong.items()}))
    return folder
