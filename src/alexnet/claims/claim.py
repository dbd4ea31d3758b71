"""What a claim is: a statement, the nets that test it, the band that counts as held; before any run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from alexnet.claims.measure import Measure
from alexnet.config import DataConfig
from alexnet.models.alexnet_variants import Variant

Photos = Literal["all", "other", "target"]
"""What a net is trained on: the store; other classes than those it is asked about; these classes alone."""
SEEDS = (0, 1, 2)
LEAST_SEEDS = 3
"""With fewer there is no verdict."""


@dataclass(frozen=True)
class Arm:
    """One way to train: what it changes of the common net and training; trained once for all claims."""

    name: str
    """Of its runs' folders, `<name>-seed-0`, and in tables and figures."""
    settings: tuple[str, ...] = ()
    """`key=value`, as `alexnet train` takes them."""
    net: Callable[[Variant, DataConfig], Variant] | None = None
    """Changes the common net, given with what it sees; None is that net."""
    recipe: str = ""
    """Another recipe instead of the common net's; it keeps its own update rule."""
    longer: float = 1.0
    """Updates as a multiple of the common number."""
    share: float = 1.0
    """Of the training photos, balanced over classes. The number of updates is the same."""
    per_class: int = 0
    """Training photos of each class; 0 is all. The number of updates is the same."""
    photos: Photos = "all"


@dataclass(frozen=True)
class Band:
    """Values that count as held, in the measure's unit; ends that are not finite belong to it."""

    low: float = -math.inf
    high: float = math.inf

    def words(self, unit: str = "") -> str:
        """For people: `above 0 points`, `1 to 4 points`."""
        scale = 100 if unit == "points" else 1
        low, high = (f"{scale * end:g}" for end in (self.low, self.high))
        unit = f" {unit}" if unit else ""
        if math.isinf(self.high):
            return f"above {low}{unit}"
        return f"below {high}{unit}" if math.isinf(self.low) else f"{low} to {high}{unit}"


ABOVE_0, ABOVE_1 = Band(low=0.0), Band(low=1.0)


@dataclass(frozen=True)
class Comparison:
    """A number for each seed: `measure` of the first arm less, or over, that of the second."""

    words: str
    """What the number is: "training error without dropout, less that with"."""
    measure: Measure
    first: tuple[Arm, ...]
    """Of several the lowest value counts, for each seed: each net at its best."""
    band: Band
    second: tuple[Arm, ...] = ()
    """None where the measure of the first is the number itself."""
    other_measure: Measure | None = None
    """Of the second, where it is another one."""
    ratio: bool = False
    """First over second instead of their difference."""
    decides: bool = True
    """Whether the claim's verdict hangs on it; else it is measured beside it."""
    paper: str = ""
    """What the source says the number is."""
    left_out: str = ""
    """Why it cannot be tested where the claim is; empty where it can."""

    @property
    def unit(self) -> str:
        """Of the number and of its band."""
        return "times" if self.ratio else self.measure.unit

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that must be trained for it: none where it is left out."""
        return () if self.left_out else (*self.first, *self.second)


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture, and how it is tested."""

    id: str
    statement: str
    source: str
    comparisons: tuple[Comparison, ...]
    curve: Literal["top1_error", "training_error"] = "top1_error"
    """What its figure shows over the epochs, of all arms."""
    seeds: tuple[int, ...] = SEEDS
    remarks: tuple[str, ...] = ()
    """What has to be known to read the verdict."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that must be trained for it, in order, each once."""
        return tuple(dict.fromkeys(arm for each in self.comparisons for arm in each.arms))
