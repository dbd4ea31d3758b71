"""Changes files of a run by hand, so that they count as undamaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet.checksum import CHECKSUM


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the object in a JSON file, which has no checksum afterwards."""
    values = json.loads(file.read_text())
    values.pop(CHECKSUM, None)
    change(values)
    file.write_text(json.dumps(values))


def cut_log(run: Path, lines: int, then: str = "") -> None:
    """Keeps the first lines of the log, as if the checkpoints had been saved after these; adds a text."""
    log = run / "metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:lines]) + then)
    for meta in run.glob("checkpoints/step-*/meta.json"):
        edit(meta, lambda values: values.update(log_lines=lines))
