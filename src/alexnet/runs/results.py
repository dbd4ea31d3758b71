"""Reading what `evaluate` wrote: `evaluation.json` of a run, an ensemble or a recorded result, or `--out`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alexnet import old_names
from alexnet.errors import DataError

NAME = "evaluation.json"


def read_evaluations(path: Path) -> list[dict[str, Any]]:
    """The entries of the folder's `evaluation.json`, or of a file, which may hold one without a list.

    Empty where there is none; DataError where it is not JSON or holds something else.
    """
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(_no_evaluations(file, path, "is not JSON")) from error
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) for entry in entries):
        raise DataError(_no_evaluations(file, path, "holds no evaluations"))
    return [old_names.new_evaluation(entry) for entry in entries]


def _no_evaluations(file: Path, asked_for: Path, found: str) -> str:
    if file == asked_for:
        return f"{file} {found}: give a run, an ensemble's folder, or a file that `evaluate --out` wrote"
    return f"{file} {found}: remove it and evaluate again"
