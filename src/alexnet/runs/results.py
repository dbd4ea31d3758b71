"""The results of `evaluate`: `evaluation.json` of a run, an ensemble or a recorded result, or `--out`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from alexnet import old_names
from alexnet.json_reader import as_object, check_version, read_document
from alexnet.serialization import from_dict, to_dict
from alexnet.text import counted, percentage

EVALUATION_FILE = "evaluation.json"


RESULT_FORMAT_VERSION = 2
"""Version of an `EvalResult` in a file. Version 2 added the images that were predicted to be of each class,
and mistakes. Files without a number have version 0, which is otherwise the same as 1."""


@dataclass(frozen=True)
class ViewSet:
    """Which views of each image a test used: a name such as `ten`, and the scales if they were chosen."""

    name: str
    scales: tuple[int, ...] = ()
    """Shorter sides in pixels; empty for the model's default scales."""

    def __str__(self) -> str:
        return f"{self.name}@{','.join(map(str, self.scales))}" if self.scales else self.name

    @classmethod
    def parse(cls, text: str) -> ViewSet:
        """From what `str` gives: `dense`, `dense@256,384`. ValueError if a scale is not a number."""
        name, _, scales = text.partition("@")
        return cls(name, tuple(map(int, scales.split(","))) if scales else ())


@dataclass(frozen=True)
class ClassErrors:
    """Errors among the images of one class."""

    wnid: str
    """Of the class."""
    name: str
    """Readable name of the class."""
    images: int
    """Images of the class."""
    top1_errors: int
    """Those whose most probable class is another one."""
    predicted: int | None = None
    """Images that were predicted to be of this class; None in files of versions that did not save it."""

    @property
    def recall(self) -> float | None:
        """Fraction of the class's images that were predicted to be of it; None without images."""
        return (self.images - self.top1_errors) / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """Fraction of the images predicted to be of the class that are; None without such images."""
        return (self.images - self.top1_errors) / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; 0 if no image of the class was right, None if it is
        unknown.
        """
        if self.predicted is None or not self.images:
            return None
        return 2 * (self.images - self.top1_errors) / (self.images + self.predicted)


@dataclass(frozen=True)
class Confusion:
    """How many images of class `true` were predicted to be `predicted`; both are WNIDs."""

    true: str
    """The class of the images."""
    predicted: str
    """Their most probable class."""
    images: int
    """How many there are."""


@dataclass(frozen=True)
class Mistake:
    """An image that was predicted to be of a wrong class; `true` and `predicted` are WNIDs."""

    key: str
    """The image's name in the store."""
    true: str
    """The class of the image."""
    predicted: str
    """Its most probable class."""
    probability: float
    """Of the predicted class."""
    true_probability: float
    """Of the true class."""
    file: str = ""
    """Absolute path of the photo; empty if it has no file of its own, or it was not found."""


@dataclass(frozen=True)
class EvaluatedRun:
    """One run that an evaluation tested; None if it is unknown, as for imported weights."""

    run: str
    """Name of the run directory or the file."""
    recipe: str
    """Of the run."""
    epochs: int | None
    """That it was trained for."""
    seed: int | None
    """Of its training."""
    checkpoint: str
    """Which one was tested: `last` or `best`."""
    updates: int | None = None
    """Updates of the checkpoint."""


@dataclass(frozen=True)
class BoxErrors:
    """Errors of class and box together, over the images that have a box of their class."""

    images: int
    """Images that have a box of their class."""
    without_box: int
    """Images without a box of their class, which are not scored."""
    top1_localization_errors: int
    """Images whose first prediction has the wrong class or a wrong box."""
    top5_localization_errors: int
    """Images without any prediction, among the first five, of the right class with a right box."""
    top1_errors: int
    """Images whose first prediction has the wrong class, whatever its box."""
    top5_errors: int | None
    """None with five classes or fewer."""

    def rate(self, errors: int | None) -> Rate | None:
        """A count of errors as a fraction of the images."""
        return None if errors is None else Rate.of(errors, self.images)


@dataclass(frozen=True)
class LocalizationResult(BoxErrors):
    """Errors of predicted boxes, and those of baseline boxes that do not depend on the image."""

    baselines: dict[str, BoxErrors] = field(default_factory=dict[str, BoxErrors])


@dataclass(frozen=True)
class ClassPrecision:
    """Detection of the objects of one class."""

    wnid: str
    """Of the class."""
    objects: int
    """Objects of the class."""
    detections: int
    """Predicted boxes of the class."""
    found: int
    """Number of objects that some detection matches, whatever its score."""
    average_precision: float | None
    """0 to 1; None if there is no object of the class."""


@dataclass(frozen=True)
class DetectionResult:
    """Detection of all objects."""

    images: int
    """Number of images."""
    objects: int
    """Objects in them."""
    mean_average_precision: float
    """0 to 1, over the classes that have objects."""
    per_class: tuple[ClassPrecision, ...]
    """In label order."""
    precision_of_windows: float | None = None
    """Mean average precision of the windows themselves, if each were labeled with the object that it
    shows."""


@dataclass(frozen=True)
class GrowthStep:
    """Errors of the first `nets` members of an ensemble; fractions with their 95 % intervals."""

    nets: int
    """How many members."""
    top1_error: float
    """Of the average."""
    top1_interval: tuple[float, float]
    """Of `top1_error`."""
    top5_error: float | None
    """Of the average; None with fewer than ten classes."""
    top5_interval: tuple[float, float] | None
    """Of `top5_error`."""
    gain: float | None
    """Reduction of the top-1 error by the last of them; None for the first."""
    gain_interval: tuple[float, float] | None
    """Paired over the same images: much narrower than the errors' own intervals."""
    choices_top1_error: float | None
    """Mean top-1 error over all subsets of this size; None if there are too many."""


@dataclass(frozen=True)
class Rate:
    """An error rate as a fraction, with Wilson's 95 % interval."""

    error: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, errors: int, images: int) -> Rate:
        """The rate for this number of errors among this number of images; ValueError without images."""
        interval = wilson_interval(errors, images)
        return cls(errors / images, interval)


@dataclass(frozen=True, kw_only=True)
class EvalResult:
    """One entry of `evaluation.json`: the errors of a model, or of the mean of several, on a split.

    ValueError unless every image was scored exactly once.
    """

    split: str
    """The split of the store."""
    views: ViewSet
    """The views of each image that were averaged."""
    images: int
    """Images that were tested."""
    top1_errors: int
    """Images whose most probable class is wrong."""
    top5_errors: int | None
    """Images whose true class is not among the five most probable; None with fewer than ten classes."""
    nll: float
    """Mean of -ln(probability of the true class)."""
    per_class: tuple[ClassErrors, ...]
    """In label order."""
    confusions: tuple[Confusion, ...]
    """The most frequent first."""
    store: str
    """Name of the store."""
    store_digest: str
    """SHA-256 over the hashes of the store's shards."""
    runs: tuple[EvaluatedRun, ...]
    scales: tuple[int, ...] = ()
    """Shorter sides to which photos were resized, in pixels; empty in files of versions that did not save
    them."""
    seconds: float = 0.0
    """Duration of the test; 0 if it was not saved."""
    multiply_adds: float = 0.0
    """Multiply-adds per photo, on average; 0 if they were not counted."""
    device: str = ""
    """Where the model ran, in words."""
    photos: Literal["square", "whole"] = "square"
    """`whole` if more than the central square was tested."""
    left_out: tuple[str, ...] = ()
    """Photos of the split that `prepare` could not read."""
    localization: LocalizationResult | None = None
    detection: DetectionResult | None = None
    mean: Literal["probabilities", "logits"] | None = None
    """What was averaged over the runs; None for a single run."""
    weights: tuple[float, ...] | None = None
    """Of each run in the mean; None if they are equal."""
    weights_searched_on: str | None = None
    """The split on which the weights were searched; None if they were not."""
    growth: tuple[GrowthStep, ...] = ()
    members: dict[str, int] = field(default_factory=dict[str, int])
    """Top-1 errors of each member, in a recorded ensemble."""
    measures: dict[str, float] = field(default_factory=dict[str, float])
    """Additional numbers, for a task without a field here; the names are identifiers."""
    mistakes: tuple[Mistake, ...] = ()
    """The most confident first; only a few of many. Empty in files of versions that did not save them."""
    classifies: bool = True
    """False if a model was not trained to predict classes: the errors are then of no use."""

    def __post_init__(self) -> None:
        scored = sum(each.images for each in self.per_class)
        wrong = sum(each.top1_errors for each in self.per_class)
        if (scored, wrong) != (self.images, self.top1_errors):
            raise ValueError(
                f"the classes have {scored} images and {wrong} errors, but the split has {self.images} and "
                f"{self.top1_errors}"
            )
        predicted = [each.predicted for each in self.per_class if each.predicted is not None]
        if predicted and (len(predicted), sum(predicted)) != (len(self.per_class), self.images):
            raise ValueError(
                f"{sum(predicted)} images were predicted to be of some class, but the split has {self.images}"
            )

    def __repr__(self) -> str:
        """`EvalResult(mine on val of stores/mine, ten: 21 images, top-1 error 14.3 % (5.0 to 34.6 %))`.

        Intervals are of 95 %. All fields are in `to_dict()`.
        """
        tested = " + ".join(each.run for each in self.runs)
        parts = [counted(self.images, "image")]
        for name, rate in (("top-1", self.top1), ("top-5", self.top5)):
            if rate is not None and self.classifies:
                low, high = (percentage(each) for each in rate.interval)
                parts.append(f"{name} error {percentage(rate.error)} ({low.removesuffix(' %')} to {high})")
        if self.localization is not None:
            located = self.localization
            error = percentage(located.top1_localization_errors / located.images)
            parts.append(f"top-1 localization error {error}")
        if self.detection is not None:
            parts.append(f"mean average precision {self.detection.mean_average_precision:.3f}")
        return f"EvalResult({tested} on {self.split} of {self.store}, {self.views}: {', '.join(parts)})"

    @property
    def top1(self) -> Rate:
        """The top-1 error."""
        return Rate.of(self.top1_errors, self.images)

    @property
    def top5(self) -> Rate | None:
        """The top-5 error; None with fewer than ten classes."""
        return None if self.top5_errors is None else Rate.of(self.top5_errors, self.images)

    @property
    def balanced(self) -> Rate:
        """The balanced error: the mean of the errors of the classes that have images."""
        return balanced_rate([(each.top1_errors, each.images) for each in self.per_class if each.images])

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the classes that have images; None in files of versions that did not save it."""
        scores = [each.f1 for each in self.per_class if each.images]
        known = [score for score in scores if score is not None]
        return math.fsum(known) / len(known) if len(known) == len(scores) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the fields, and what follows from the counts as fractions: errors with their
        95 % intervals, macro F1, and precision, recall and F1 of each class.

        Fields that only ensembles, localizers or detectors have are left out of others.
        """
        values: dict[str, Any] = {
            "format_version": RESULT_FORMAT_VERSION,
            **to_dict(self),
            "views": str(self.views),
        }
        values |= _rates(values, self.images, ("top1", "top5"))
        balanced = self.balanced
        values |= {"balanced_error": balanced.error, "balanced_interval": list(balanced.interval)}
        values["macro_f1"] = self.macro_f1
        for each, entry in zip(self.per_class, values["per_class"], strict=True):
            entry |= {name: getattr(each, name) for name in _CLASS_SCORES}
        if self.localization is not None:
            located = values["localization"]
            for part in (located, *located["baselines"].values()):
                part |= _rates(part, part["images"], _BOX_RATES)
        averaged = () if self.mean is not None else ("mean", "weights", "weights_searched_on")
        absent = [name for name in ("localization", "detection") if values[name] is None]
        empty = [name for name in ("growth", "members", "measures") if not values[name]]
        usual = ("classifies",) if self.classifies else ()
        left_out = {*averaged, *absent, *empty, *usual}
        return {name: value for name, value in values.items() if name not in left_out}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvalResult:
        """From JSON of any version; ValueError or ConfigError if it is no such result."""
        made = dict(old_names.new_evaluation(values))
        version = made.pop("format_version", 0)
        check_version(version, RESULT_FORMAT_VERSION)
        views = ViewSet.parse(made.pop("views"))
        if isinstance(members := made.get("members"), list):  # in the output of `evaluate --json`
            made["members"] = {each["runs"][0]["run"]: each["top1_errors"] for each in members}
        located = made.get("localization")
        for part in (made, *([located, *located.get("baselines", {}).values()] if located else [])):
            for name in _BOX_RATES:
                part.pop(f"{name}_error", None)
                part.pop(f"{name}_interval", None)
        for name in ("balanced_error", "balanced_interval", "macro_f1"):
            made.pop(name, None)
        made["per_class"] = [
            {name: value for name, value in each.items() if name not in _CLASS_SCORES}
            for each in made["per_class"]
        ]
        return from_dict(cls, {**made, "views": {"name": views.name, "scales": list(views.scales)}})


_CLASS_SCORES = ("recall", "precision", "f1")
_BOX_RATES = ("top1_localization", "top5_localization", "top1", "top5")


def _rates(values: Mapping[str, Any], images: int, names: Iterable[str]) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for name in names:
        errors = values[f"{name}_errors"]
        rate = None if errors is None else Rate.of(errors, images)
        rates[f"{name}_error"] = rate and rate.error
        rates[f"{name}_interval"] = rate and list(rate.interval)
    return rates


NORMAL_97_5 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def wilson_interval(errors: float, images: float) -> tuple[float, float]:
    """Wilson's 95 % interval of an error rate: (low, high), fractions in 0..1; valid also at 0 errors and for
    few images.

    `errors` is in 0..`images`; both may be effective numbers that are not whole. ValueError unless `images`
    is above 0.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if images <= 0:
        raise ValueError("an error rate needs at least one image")
    rate, z2 = errors / images, NORMAL_97_5**2
    middle = (rate + z2 / (2 * images)) / (1 + z2 / images)
    half = (
        NORMAL_97_5 * math.sqrt(rate * (1 - rate) / images + z2 / (4 * images * images)) / (1 + z2 / images)
    )
    # At the ends the formula gives exactly 0 and 1, up to rounding.
    low = 0.0 if errors == 0 else middle - half
    high = 1.0 if errors == images else middle + half
    return low, high


def balanced_rate(classes: Sequence[tuple[int, int]]) -> Rate:
    """The mean of the error rates of classes, each as (errors, images), with its 95 % interval; fractions.

    ValueError without a class, or for a class without images.

    The interval is stratified by class: it is Wilson's for the effective number of images, with which a
    simple random sample would have the variance of the mean of the classes. For the variance, one error and
    one right image are added to each class, since few images are often all right or all wrong. Source: Korn
    and Graubard 1998, "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", for effective sample sizes.
    """
    count = len(classes)
    if not count or any(images <= 0 for _, images in classes):
        raise ValueError("a balanced error rate needs at least one image of each class")
    mean = math.fsum(errors / images for errors, images in classes) / count
    rates = [((errors + 1) / (images + 2), images) for errors, images in classes]
    variance = math.fsum(rate * (1 - rate) / images for rate, images in rates) / count**2
    overall = math.fsum(rate for rate, _ in rates) / count
    effective = overall * (1 - overall) / variance
    return Rate(mean, wilson_interval(mean * effective, effective))


def read_results(path: Path) -> list[EvalResult]:
    """The results in a folder's `evaluation.json`, or in a file, which may have a single result without a
    list.

    Empty if there is none; DataError, naming the file, if it has other contents.
    """
    file = path / EVALUATION_FILE if path.is_dir() else path
    if not file.is_file():
        return []
    remedy = (
        "use a run, an ensemble, or a file that `evaluate --out` wrote"
        if file == path
        else "remove it and evaluate again"
    )
    return read_document(file, _results, "has no valid evaluation", remedy)


def is_results(path: Path) -> bool:
    """Whether a folder has results, as `alexnet.evaluate_model` saves them, and no run or ensemble.

    DataError as `read_results`.
    """
    others = ("config.json", "metrics.jsonl", "checkpoints", "ensemble.json")
    return path.is_dir() and not any((path / each).exists() for each in others) and bool(read_results(path))


def _results(document: Any) -> list[EvalResult]:
    entries = cast(list[Any], document) if isinstance(document, list) else [document]
    return [EvalResult.from_dict(as_object(entry)) for entry in entries]
