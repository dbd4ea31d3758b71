"""What recorded results under `results/` say: errors by views, and which images were answered wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.runs.results import read_evaluations


def evaluations(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a result's `evaluation.json` by views; none where it is not recorded."""
    return {entry["views"]: entry for entry in read_evaluations(folder)}


def wrong_answers(folder: Path, views: str) -> npt.NDArray[np.bool_] | None:
    """(N,) whether the answer to each image was wrong; None where that was not recorded."""
    path = folder / "wrong.json"
    if not path.is_file():
        return None
    wrong = np.zeros(evaluations(folder)[views]["images"], np.bool_)
    wrong[json.loads(path.read_text())[views]] = True
    return wrong
