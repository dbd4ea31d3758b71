"""The log of a run: JSON lines that survive a kill, and TensorBoard event files.

Each line is one object with `event`, `step` and `epoch`. Events: `train` (mean `loss` and `error` since the
last such line, `learning_rate`, `images_per_second`, `data_wait_share`, `seconds`, `eta_seconds`),
`validation` (`top1_error`, ...), `start`, `resume`, `stopped`, `learning-rate`, `checkpoint`, `warning`,
`plan` (of a run by time: its `total_steps`, and the seconds of its parts), `early-stop` (`waited`),
and the names of scheduled events; the last line of a finished run is `result`. `seconds` is the training time
so far, over all resumes. `lost` counts the `lines` that were lost before it. Each line has a checksum, and a
checkpoint, or the position of a classic pipeline in training, records how many lines there were when it was
saved: a damaged or shorter log is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from alexnet.checksum import CHECKSUM, Damaged, has_checksum, with_checksum, without_checksum
from alexnet.errors import DataError, WorkError
from alexnet.io import write_whole
from alexnet.json_reader import as_object, parse_json, read_object, reason_of
from alexnet.runs.checkpoints import recorded_lines
from alexnet.runs.tensorboard import EventFile
from alexnet.text import counted

_LOST = "lost"
_PIPELINE = "features/state.json"
"""In the run of a classic pipeline in training: its position."""
_WAY_ON = "type `alexnet train` with --resume, which keeps the other lines and records how many are lost"
_NUMBERS = ("seconds", "error", "loss", "strength", "top1_error", "total_steps", "lines")
"""Values that are numbers wherever they are, besides `step` and `epoch`."""


@dataclass(frozen=True)
class LogEvent:
    """One line of a run's log, as a callback of `alexnet.train` receives it."""

    event: str
    """`start`, `train` (some updates), `validation`, `stage`, `result`, ..."""
    step: int
    """Updates so far; of a classic pipeline, images that were encoded."""
    epoch: int
    values: Mapping[str, Any]
    """Such as `loss` and `error`, a fraction, of `train`."""

    @property
    def numbers(self) -> dict[str, float]:
        """The values that are numbers, by names such as `train/loss`, as trackers take them."""
        return {
            f"{self.event}/{name}": value
            for name, value in self.values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


Callback: TypeAlias = Callable[[LogEvent], None]
"""Receives each line of a run's log when it is written, in the process that writes the log."""


def no_callback(event: LogEvent) -> None:
    """Does nothing."""


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Appends to `metrics.jsonl` and to the events in `tensorboard`; only the main process has one."""

    def __init__(
        self,
        file: Path,
        tensorboard: Path,
        first_step: int = 0,
        num_lines: int = 0,
        callback: Callback = no_callback,
    ):
        """Continues at `first_step`: lines of later steps, logged by an interrupted run, are dropped.

        `num_lines` were there at `first_step`. Where some of these are damaged or missing, the others are
        kept, with an event `lost`.
        """
        undamaged, damaged = _undamaged_lines(file)
        lines = [line for line in undamaged if line["step"] <= first_step]
        self.lost = max(damaged, num_lines - _count(lines))
        """Number of lines found to be lost when it was opened."""
        if self.lost:
            epoch = lines[-1]["epoch"] if lines else 0
            lines.append({"event": _LOST, "step": first_step, "epoch": epoch, "lines": self.lost})
        write_whole(file, "".join(map(_text, lines)).encode())
        self._lines = _count(lines)
        self._stream = file.open("a", encoding="utf-8")
        kept = lines
        purge_step = first_step + 1 if kept else None
        self._board = EventFile(tensorboard, purge_step)
        self._path = file
        self._callback = callback

    @property
    def lost_note(self) -> str:
        """A line for people about lines that were lost; empty without any."""
        return f"{self._path} was damaged: {counted(self.lost, 'line')} lost" if self.lost else ""

    def write(self, event: str, step: int, epoch: int, **values: Any) -> None:
        """Writes one line; numbers also go to TensorBoard as `event/name`, and all to the callback.

        WorkError if the disk is full.
        """
        try:
            self._stream.write(_text({"event": event, "step": step, "epoch": epoch, **values}))
            self._stream.flush()
        except OSError as error:
            raise self._cannot_write(error) from error
        self._lines += 1
        self._board.write(event, step, values)
        self._callback(LogEvent(event, step, epoch, values))

    def sync(self) -> int:
        """Makes sure that all lines are on the disk; returns their number. WorkError if the disk is full."""
        try:
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error
        return self._lines

    def _cannot_write(self, error: OSError) -> WorkError:
        return WorkError(f"cannot write {self._path} ({error.strerror}): free some space")

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
    """All complete lines, oldest first, without a last one cut off by a kill; none without a log.

    Damaged if a line is, or if there are fewer than when the last checkpoint beside it was saved, or the
    position of a classic pipeline in training.
    """
    # Before the log, which may grow meanwhile.
    wanted = max(recorded_lines(path.with_name("checkpoints")), _lines_of_pipeline(path.parent / _PIPELINE))
    lines = [parse() for parse in _parsers(path)]
    if (found := _count(lines)) < wanted:
        state = f"is damaged: it has {found:,}" if path.exists() else "is missing: it has 0"
        raise Damaged(f"{path} {state} of {wanted:,} lines; {_WAY_ON}")
    return lines


def _lines_of_pipeline(position: Path) -> int:
    """Lines that the log had when the position was saved; 0 if that is not known."""
    try:
        return read_object(position, lambda values: int(values.get("log_lines", 0)), "is damaged", "")
    except DataError:
        return 0


def all_have_checksums(path: Path) -> bool:
    """Whether all lines of the log at `path` have a checksum; those of earlier versions have none."""
    return all(has_checksum(json.loads(line)) for line in _whole_lines(path))


def training_seconds(path: Path) -> float:
    """Seconds of training over all resumes, from the log at `path`; 0 without a log."""
    lines = read_metrics(path)
    return max((line.get("seconds", 0.0) for line in lines), default=0.0)


@dataclass(frozen=True)
class TrainingEnd:
    """How far a run was trained."""

    updates: int
    error: float
    """Training error of the last logged updates: on augmented images, with dropout; a fraction."""


def training_end(path: Path, updates: int | None = None) -> TrainingEnd | None:
    """How far the run with the log at `path` was trained, or what its log has about the first `updates`.

    None without a log, and for what is not trained by updates, such as classic pipelines.
    """
    lines = read_metrics(path)
    trained = [line for line in lines if line["event"] == "train" and line.get("error") is not None]
    trained = [line for line in trained if updates is None or line["step"] <= updates]
    return TrainingEnd(updates or trained[-1]["step"], trained[-1]["error"]) if trained else None


def last_layer_strength(path: Path) -> float | None:
    """The penalty with which the last layer was fitted; None without a log, or if it was not fitted."""
    lines = read_metrics(path)
    return next((line["strength"] for line in reversed(lines) if line["event"] == "last-layer"), None)


def initialized_from(path: Path) -> dict[str, Any] | None:
    """The event with which the run with the log at `path` was initialized from other weights; None if it was
    not.
    """
    lines = read_metrics(path)
    return next((line for line in lines if line["event"] == "init-from"), None)


def has_finished(path: Path) -> bool:
    """Whether there is a log at `path`, of a run that was trained to its end."""
    return any(line["event"] == "result" for line in read_metrics(path)[-1:])


def has_logged(path: Path) -> bool:
    """Whether there is a log at `path` of a run that was trained far enough to be measured."""
    return any(line["event"] in ("train", "validation") for line in read_metrics(path))


def _text(line: Mapping[str, Any]) -> str:
    """A line of the log, with its checksum."""
    return json.dumps(with_checksum(line)) + "\n"


def _count(lines: Sequence[Mapping[str, Any]]) -> int:
    """The number of lines, with those that were lost before."""
    return sum(1 + (line.get("lines", 0) if line["event"] == _LOST else 0) for line in lines)


def _whole_lines(path: Path) -> list[str]:
    """The lines of a log, without a last one that a kill cut off; none without a log."""
    if not path.is_file():
        return []
    *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [*lines, last] if last and _is_json(last) else lines


def _is_json(line: str) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _parsers(path: Path) -> list[Callable[[], dict[str, Any]]]:
    """A function for each line of a log, oldest first, as `_parsed`.

    Only lines at the beginning, of an earlier version, may have no checksum.
    """
    lines = _whole_lines(path)
    keys = [f'"{CHECKSUM}"' in line for line in lines]
    first = keys.index(True) if True in keys else len(lines)
    return [partial(_parsed, line, path, number >= first) for number, line in enumerate(lines)]


def _parsed(line: str, path: Path, is_checked: bool) -> dict[str, Any]:
    """A line as an event; Damaged if it is another text, or if it has no checksum but `is_checked`."""
    try:
        value = parse_json(line)
        if is_checked and not has_checksum(value):
            raise ValueError("no checksum")
        return _event(without_checksum(value, path))
    except Damaged:
        raise
    except (ValueError, KeyError) as error:
        raise Damaged(
            f"{path} is damaged: it has a line that is not an event ({reason_of(error)})", _WAY_ON
        ) from error


def _event(value: Any) -> dict[str, Any]:
    """The event in a JSON value; ValueError or KeyError if it is something else."""
    event = dict(as_object(value))
    if not isinstance(event["event"], str):
        raise ValueError(f"event {event['event']!r}")
    for name in ("step", "epoch", *_NUMBERS):
        number = event[name] if name in ("step", "epoch") else event.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int | float | None):
            raise ValueError(f"{name} {number!r}")
    return event


def _undamaged_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that are events, none without a file; and the number of others."""
    parsers = _parsers(path)
    found: list[dict[str, Any]] = []
    for parse in parsers:
        with suppress(Damaged):
            found.append(parse())
    return found, len(parsers) - len(found)
