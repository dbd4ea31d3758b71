"""The log of a run: JSON lines that survive a kill, and TensorBoard event files.

Each line is one object with `event`, `step` and `epoch`. Events: `train` (mean `loss` and `error` since the
last such line, `learning_rate`, `images_per_second`, `data_wait_share`, `seconds`, `eta_seconds`),
`validation` (`top1_error`, ...), `start`, `resume`, `stopped`, `learning-rate`, `checkpoint`, `warning`,
`plan` (of a run by time: its `total_steps`, and the seconds of its parts), `early-stop` (`waited`),
and the names of scheduled events; the last line of a finished run is `result`. `seconds` is the training time
so far, over all resumes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from alexnet.errors import DataError, WorkError
from alexnet.io import write_whole
from alexnet.json_reader import as_object, parse_json, reason_of
from alexnet.runs.tensorboard import EventFile


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Appends to `metrics.jsonl` and to the events in `tensorboard`; only the main process has one."""

    def __init__(self, file: Path, tensorboard: Path, first_step: int = 0):
        """Continues at `first_step`: lines of later steps, logged by an interrupted run, are dropped."""
        kept = [line for line in read_metrics(file) if line["step"] <= first_step] if file.exists() else []
        write_whole(file, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._stream = file.open("a", encoding="utf-8")
        purge_step = first_step + 1 if kept else None
        self._board = EventFile(tensorboard, purge_step)
        self._path = file

    def write(self, event: str, step: int, epoch: int, **values: Any) -> None:
        """Writes one line; numbers also go to TensorBoard as `event/name`. WorkError if the disk is full."""
        try:
            self._stream.write(json.dumps({"event": event, "step": step, "epoch": epoch, **values}) + "\n")
            self._stream.flush()
        except OSError as error:
            raise WorkError(f"cannot write {self._path} ({error.strerror}): free some space") from error
        self._board.write(event, step, values)

    def close(self) -> None:
        """Flushes both."""
        self._stream.close()
        self._board.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All complete lines, oldest first, without a last one cut off by a kill. DataError on other text."""
    return list(_whole_lines(path))


def training_seconds(path: Path) -> float:
    """Seconds of training over all resumes, from the log at `path`; 0 without a log."""
    lines = read_metrics(path) if path.is_file() else []
    return max((line.get("seconds", 0.0) for line in lines), default=0.0)


def last_training_error(path: Path) -> float | None:
    """Training error of the last logged updates: on augmented images, with dropout; None without."""
    lines = read_metrics(path) if path.is_file() else []
    errors = [line["error"] for line in lines if line["event"] == "train"]
    return errors[-1] if errors else None


def last_layer_strength(path: Path) -> float | None:
    """The penalty with which the last layer was fitted; None without a log, or if it was not fitted."""
    lines = read_metrics(path) if path.is_file() else []
    return next((line["strength"] for line in reversed(lines) if line["event"] == "last-layer"), None)


def was_initialized(path: Path) -> bool:
    """Whether there is a log at `path`, of a run that was initialized from other weights."""
    return path.is_file() and any(line["event"] == "init-from" for line in read_metrics(path))


def has_finished(path: Path) -> bool:
    """Whether there is a log at `path`, of a run that was trained to its end."""
    return path.is_file() and any(line["event"] == "result" for line in read_metrics(path)[-1:])


def has_logged(path: Path) -> bool:
    """Whether there is a log at `path` of a run that was trained far enough to be measured."""
    return path.is_file() and any(line["event"] in ("train", "validation") for line in read_metrics(path))


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            yield _event(line)
        except (ValueError, KeyError) as error:
            if line.endswith("\n"):
                raise DataError(
                    f"{path}: line {number} is no event ({reason_of(error)}): remove it"
                ) from error


def _event(line: str) -> dict[str, Any]:
    """A line of the log; ValueError or KeyError if it is something else."""
    event = dict(as_object(parse_json(line)))
    if not isinstance(event["event"], str):
        raise ValueError(f"event {event['event']!r}")
    for name in ("step", "epoch", *_NUMBERS):
        value = event[name] if name in ("step", "epoch") else event.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ValueError(f"{name} {value!r}")
    return event


_NUMBERS = ("seconds", "error", "loss", "strength", "top1_error", "total_steps")
"""Values that are numbers wherever they are."""
