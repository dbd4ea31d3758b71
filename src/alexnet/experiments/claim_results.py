"""The recorded result of a claim: `claim.json` as a versioned, typed value, parsed when read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alexnet import old_names
from alexnet.checksum import write_json_with_checksum
from alexnet.config import RunConfig
from alexnet.json_reader import check_version, read_object
from alexnet.serialization import from_dict, to_dict

CLAIM_FILE = "claim.json"
CLAIM_FORMAT_VERSION = 2
"""Version of a `ClaimResult` in a file. Version 2 added `photos`. Files without a number have version 0,
which had sentences as keys."""

Verdict = Literal["held", "failed", "still learning", "untested"]
"""`still learning`: nothing is concluded, since a model's training error is above `claims.TRAINED`."""


@dataclass(frozen=True)
class MeasuredValue:
    """One measured number."""

    number: float
    at_least: bool = False
    """Censored: the value was not reached; the number is the length of the run."""
    missed_by: float = 0.0
    """How far the run ended from reaching it, by which settings are ranked of which none did; 0 in results of
    earlier versions."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def words(self, unit: str, at_least: bool = False) -> str:
        """The interval as text: `+1.2 (+0.4 to +2.0) points`; errors are fractions, shown in points."""
        mean, low, high = (_number(value, unit) for value in (self.mean, self.low, self.high))
        return f"{'at least ' * at_least}{mean} ({low} to {high}){f' {unit}' if unit else ''}"


def _number(value: float, unit: str) -> str:
    if unit == "points":
        return f"{100 * value:+.1f}"
    if unit == "times":
        return f"{value:.2f}"
    return f"{value:+.2f}" if unit else f"{value:+.3g}"


@dataclass(frozen=True)
class Band:
    """The values for which a claim holds, in the measure's unit; an end that is not finite is no limit."""

    low: float = -math.inf
    high: float = math.inf

    def words(self, unit: str = "") -> str:
        """The band as text: `above 0 points`, `1 to 4 points`."""
        scale = 100 if unit == "points" else 1
        low, high = (f"{scale * end:g}" for end in (self.low, self.high))
        unit = f" {unit}" if unit else ""
        if math.isinf(self.high):
            return f"above {low}{unit}"
        return f"below {high}{unit}" if math.isinf(self.low) else f"{low} to {high}{unit}"

    def to_dict(self) -> dict[str, float | None]:
        """Plain values for JSON, which has no infinity: null is no limit."""
        return {name: end if math.isfinite(end) else None for name, end in vars(self).items()}


@dataclass(frozen=True)
class ArmValues:
    """The measured values of one arm."""

    arm: str
    measure: str
    """The measure's id."""
    values: tuple[MeasuredValue | None, ...]
    """One value per seed; None if the run has no such number."""


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """The result of one comparison of a claim."""

    id: str
    words: str
    """A description of the number that is compared with the band."""
    measure: str
    """The measure's id."""
    first: tuple[str, ...]
    """Arms; if there are several, the lowest value counts, for each seed."""
    second: tuple[str, ...]
    """Arms whose value is subtracted, or is the divisor."""
    unit: str
    band: Band
    paper: str = ""
    """What the source reports."""
    decides: bool = True
    """Whether the claim's verdict depends on it."""
    values: tuple[ArmValues, ...] = ()
    numbers: tuple[float, ...] = ()
    """One number per seed; numbers per image are not kept."""
    count: int = 0
    """The number of values that the interval is computed from; 0 if something is missing."""
    over: Literal["seeds", "photos"] = "seeds"
    photos: int = 0
    """The number of photos that the interval covers besides the seeds; 0 if it covers the seeds alone."""
    at_least: bool = False
    """Whether some numbers are lower bounds, because the value was not reached in the run."""
    interval: Interval | None = None
    verdict: Verdict = "untested"
    reason: str = ""
    """Why there is no verdict; empty if the interval settles it."""

    @property
    def title(self) -> str:
        """What is compared; marked if the verdict does not depend on it."""
        return self.words if self.decides else f"{self.words} (secondary)"

    @property
    def sample(self) -> str:
        """What the interval covers: `3 seeds x 1,975 photos`, `3 seeds`, `1,975 photos`."""
        return f"{self.count:,} {self.over}" + (f" x {self.photos:,} photos" if self.photos else "")

    @property
    def found(self) -> str:
        """The mean with its interval, as text; empty if there is none."""
        return "" if self.interval is None else self.interval.words(self.unit, self.at_least)


@dataclass(frozen=True)
class ValidationResult:
    """One validation during training; errors are fractions of images."""

    step: int
    epoch: int
    images: int
    top1_error: float
    top5_error: float | None
    nll: float
    training_error: float
    training_nll: float


@dataclass(frozen=True)
class ArmResult:
    """One training run of a claim."""

    run: str
    arm: str
    seed: int
    diverged: bool
    seconds: float
    tests: tuple[ValidationResult, ...]
    """All validations, oldest first; empty if the run diverged."""


@dataclass(frozen=True)
class ClaimData:
    """What all runs of a claim have in common."""

    store: str
    store_digest: str
    other_store: str
    other_store_digest: str
    settings: tuple[str, ...]
    photos: dict[str, int]
    """Images by split."""
    classes: int
    side: int
    """Pixels of the store's images."""

    @property
    def title(self) -> str:
        """The store's name, with its pixels if that does not end with them."""
        return self.store if self.store.endswith(f"-{self.side}") else f"{self.store}, {self.side} pixels"


@dataclass(frozen=True)
class ClaimEnvironment:
    """The environment of the runs; several values where they differ."""

    device: tuple[str, ...] = ()
    processor: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    python: tuple[str, ...] = ()
    packages: tuple[dict[str, str], ...] = ()
    commit: tuple[str, ...] = ()
    uncommitted_changes: bool = False
    measured_on: str = ""
    """The processor on which values that are not in the runs' logs were measured."""


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim, what was measured, and the verdict."""

    id: str
    statement: str
    source: str
    verdict: Verdict
    reason: str
    remarks: tuple[str, ...]
    seeds: tuple[int, ...]
    comparisons: tuple[ComparisonResult, ...]
    arms: dict[str, RunConfig] = field(default_factory=dict[str, RunConfig])
    """The configuration of each arm; the seed is not part of it."""
    runs: tuple[ArmResult, ...] = ()
    data: ClaimData
    environment: ClaimEnvironment
    commands: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = to_dict(self)
        for result, found in zip(values["comparisons"], self.comparisons, strict=True):
            result["band"] = found.band.to_dict()
        for arm in values["arms"].values():
            del arm["training"]["seed"]
        return {"format_version": CLAIM_FORMAT_VERSION, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClaimResult:
        """Parses JSON of any version; ValueError, KeyError, TypeError or ConfigError if it is not a claim's
        result.
        """
        made = old_names.new_claim(values)
        version = made.pop("format_version")
        check_version(version, CLAIM_FORMAT_VERSION)
        for found in made["comparisons"]:
            found["band"] = {name: end for name, end in found["band"].items() if end is not None}
        return from_dict(cls, made)


def write_claim(folder: Path, result: ClaimResult) -> None:
    """Writes `claim.json` to the folder."""
    write_json_with_checksum(folder / CLAIM_FILE, result.to_dict())


def read_claim(folder: Path) -> ClaimResult | None:
    """The contents of the folder's `claim.json`; None if there is none, DataError if it is damaged."""
    file = folder / CLAIM_FILE
    if not file.is_file():
        return None
    return read_object(
        file, ClaimResult.from_dict, "is not a claim's result", "delete it and run the claim again"
    )
