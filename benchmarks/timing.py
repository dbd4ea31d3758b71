"""Timings: alternating rounds, medians, and ratios to a peer in the same run."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from alexnet.errors import WorkError


@dataclass(frozen=True)
class Measurement:
    """One row of a benchmark's CSV."""

    benchmark: str
    name: str
    value: float
    unit: str
    peer: str = ""
    """What it is compared with; empty if it is not compared."""
    ratio: float | None = None
    """`value` divided by the peer's value, from the same run; above 1 is better if the unit is a rate."""
    target: str = ""
    """The target of the ratio, such as `>= 0.6`."""


def median_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds of each function, run as A B A B, so that drift of the machine affects all equally."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm_up + rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


def as_csv(rows: Iterable[Measurement]) -> str:
    """The rows as CSV with the fields of `Measurement` as columns, numbers to four digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Measurement)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        numbers = {name: f"{value:.4g}" for name, value in asdict(row).items() if isinstance(value, float)}
        writer.writerow(asdict(row) | numbers)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Measurement]) -> None:
    """Writes `as_csv` to a file; WorkError if the disk is full or not writable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_csv(rows))
    except OSError as error:
        raise WorkError(f"cannot write {path}: {error.strerror}") from error
