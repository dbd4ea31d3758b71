"""`RUN/fit.json`: what `fit` trained, what it chose and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alexnet.checksum import write_json_with_checksum
from alexnet.json_reader import check_version, read_object
from alexnet.runs.results import Rate
from alexnet.runs.run_dir import FIT_FILE
from alexnet.serialization import from_dict, to_dict
from alexnet.text import shown_path

FIT_FORMAT_VERSION = 1
FEW_TESTED = 20
"""Photos below which errors come with a warning: their intervals are wider than 40 points."""
REFIT = "-refit"
"""Added to a candidate's name if it is trained on the validation photos, too."""


@dataclass(frozen=True)
class CandidateResult:
    """One candidate, trained and tested on the photos that choose."""

    name: str
    """Of its run directory, in that of the fit."""
    title: str
    """What it is, in words."""
    recipe: str
    """Of its run."""
    seconds: float
    """Of training, validation and testing together."""
    updates: int
    """Updates of the weights; 0 for models that are not trained by gradient descent."""
    epochs: int
    """Of its training."""
    training_error: float | None
    """At the end, on augmented images; None if there is none."""
    errors: int
    """Wrong among the photos that choose."""
    nll: float
    """Mean of -ln(probability of the true class) on them."""
    photos: int | None = None
    """Training photos that it used; None in files of earlier versions."""
    init_from: str | None = None
    """`pretrained`, or the run directory it was initialized from, in that of the fit; empty for random
    weights, None in files of earlier versions."""


@dataclass(frozen=True)
class NotTried:
    """A candidate that was not trained, or not to its end."""

    name: str
    """Of the candidate."""
    reason: str
    """In words."""


@dataclass(frozen=True)
class Suspect:
    """A photo whose label is probably wrong."""

    split: str
    """The split that it is in."""
    key: str
    """In the store."""
    label: str
    """Its class, by name."""
    predicted: str
    """The class that a model predicts which was not trained on this photo; of a copy, the label of the other
    photo.
    """
    probability: float | None = None
    """Of `predicted`; None for a copy."""
    of_label: float | None = None
    """Probability of `label`; None for a copy."""
    path: str = ""
    """Of its file, absolute; empty if it has none of its own. In files of earlier versions it is relative to
    the folder of photos.
    """
    reason: Literal["prediction", "copy"] = "prediction"
    """`copy`: a photo with the same pixels has another label, so one of the two labels is wrong."""
    copy_of: str = ""
    """That photo: its file, absolute, else its split and key."""

    @property
    def place(self) -> str:
        """What tells a user which photo it is."""
        return shown_path(self.path) if self.path else f"{self.split}/{self.key}"


@dataclass(frozen=True)
class Fit:
    """The contents of `fit.json`: what was trained, what was chosen and why."""

    photos: str
    """Path of the photos."""
    store_digest: str
    """SHA-256 over the hashes of the store's shards."""
    minutes: float
    """Minutes that were given, over all calls."""
    used_minutes: float = 0.0
    """Minutes that were used, over all calls."""
    seed: int = 0
    """Of the splits and of all training."""
    splits: dict[str, int] = field(default_factory=dict[str, int])
    """Photos of each split."""
    candidates: tuple[CandidateResult, ...] = ()
    not_tried: tuple[NotTried, ...] = ()
    """In the last call."""
    round: int = 1
    """How often candidates were trained: again after a finished fit, and when photos change."""
    chosen: tuple[str, ...] = ()
    """The candidates whose probabilities are averaged; often one."""
    refit: tuple[str, ...] = ()
    """Run directories of chosen candidates that were retrained with the validation photos added. They replace
    the candidates in the model; one for which there was no time is missing."""
    errors: int | None = None
    """Validation photos that the chosen model misclassifies; None before the choice."""
    suspects: tuple[Suspect, ...] = ()
    """Copies with different labels first, then the most suspicious."""
    version: int = FIT_FORMAT_VERSION
    """Of the format; a newer one is refused."""

    @property
    def members(self) -> tuple[str, ...]:
        """Run directories whose probabilities are averaged."""
        again = {each.removesuffix(REFIT): each for each in self.refit}
        return tuple(again.get(each, each) for each in self.chosen)

    def rate(self, errors: int) -> Rate:
        """A number of errors among the validation photos."""
        return Rate.of(errors, self.splits["val"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return to_dict(self)

    def write(self, run: Path) -> None:
        """Writes `fit.json` atomically."""
        write_json_with_checksum(run / FIT_FILE, self.to_dict())

    @classmethod
    def read(cls, run: Path) -> Fit:
        """From the directory of a fit; DataError if the file is missing, broken or of a newer version."""
        file = run / FIT_FILE
        return read_object(file, cls._from_dict, "does not describe a fit", "restore it")

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Fit:
        check_version(values.get("version", FIT_FORMAT_VERSION), FIT_FORMAT_VERSION)
        return from_dict(cls, values)
