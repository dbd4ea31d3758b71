"""The candidates of `fit`: which models to train, given the number of photos and the time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.fitting.speed import FisherSpeed, fisher_speed, last_layer_speed, network_speed
from alexnet.runs.fit_record import NotTried
from alexnet.runs.run_dir import PRETRAINED
from alexnet.text import counted, duration
from alexnet.training.last_layer import MANY_IMAGES

LINEAR, LINEAR_LARGE, FINE_TUNED = "linear", "linear-large", "fine-tuned"
FISHER, SMALL, MODERN = "sift-fv", "small", "alexnet-modern"

ONE_STEP = (LINEAR, LINEAR_LARGE, FISHER)
"""Candidates that gain from time only if they can then be trained on more photos."""
MORE_PHOTOS = 1.2
"""How many times as many photos, at least, are worth training one of these again."""

SIDES = (72, 192)
"""Smallest and largest side of the store: the small network is tested at 72 pixels, 192 help `sift-fv`."""
INPUT, TEST_SIZE = 64, 72
"""Pixels of a training crop of the small network, and of the square that test crops are cut from."""
LARGE_INPUT, LARGE_TEST_SIZE = 112, 128
"""The same for `linear-large`: it sees details where `linear` sees whole objects."""
MANY = 500
"""Minimum number of training photos per class for training from random weights."""
LONG_MINUTES = 30
"""Minimum minutes for `alexnet-modern`, with 20 million weights; below, a smaller network is trained."""
MAX_EPOCHS, MIN_EPOCHS = 60, 30
"""Of a training, and for a network from random weights."""
ENOUGH_EPOCHS = 30
"""If `fine-tuned` and its refit can each have this number of epochs, they share the time; else there is no
refit."""
START_SECONDS = 2.0
"""Until a candidate's training begins, and for its test on the validation photos."""
MODERN_COST = 2.0
"""Estimated time of a photo's training in `alexnet-modern`, relative to the small network."""
FISHER_PHOTOS = 500, 5000
"""Fewest and most training photos of `sift-fv`, if the set is larger: the time for its classifiers grows with
the cube of their number."""
FISHER_DESCRIPTORS = 64_000
"""Descriptors that a codebook of `sift-fv` is learned from: 250 for each word. The recipe has 250,000."""
LARGE_COST = 2 / 3 * (LARGE_INPUT / INPUT) ** 2
"""Time of a photo for `linear-large`, in the same unit: two views, forwards only."""
LINEAR_SHARE, LARGE_SHARE, FISHER_SHARE, SCRATCH_SHARE = 0.25, 0.2, 0.6, 0.3
"""Shares of the time that `linear`, `linear-large`, `sift-fv` and networks from random weights may take: most
for what has the lowest errors."""
LINEAR_PHOTOS = 500
"""Fewest training photos of `linear`, if the set is larger, and at least one of each class."""
LAST_LAYER_PASSES, PASSES_OF_MANY = 1500, 400
"""Passes over the features of a photo in the search for the penalty of a last layer, with folds, and without
them (of `last_layer.MANY_IMAGES` images or more)."""
BUSY = 1.5
"""How much slower or faster than measured the machine must be for the time of `sift-fv` to be corrected."""
ENOUGH_PREDICTED = 32
"""Number of photos whose prediction takes long enough to measure the speed."""


@dataclass(frozen=True)
class PhotoCounts:
    """What the plan depends on."""

    train: int
    classes: int
    side: int
    """Of the stored squares, in pixels."""
    predicted: int = 0
    """Photos that a candidate predicts after its training; those that it predicts twice count as two."""
    validation: int = 0
    """Those that choose among candidates; the refit of what is chosen uses them, too."""

    @property
    def per_class(self) -> float:
        """Mean number of training photos of a class."""
        return self.train / self.classes

    @property
    def refit(self) -> float:
        """Time of a refit, relative to the training before."""
        return 1 + self.validation / self.train


@dataclass(frozen=True)
class Candidate:
    """A run that `train` can make, as part of a `fit`."""

    name: str
    """Of its run directory."""
    title: str
    """Without the number of photos."""
    config: RunConfig
    init_from: str = ""
    """`pretrained`, or the name of a candidate before it; empty for random weights."""
    max_minutes: float = 0.0
    """Time limit of the training; a candidate that exceeds it is left out. 0: no limit."""
    seconds: float = 0.0
    """Planned for its training; 0 if not planned."""

    @property
    def takes_time(self) -> bool:
        """Whether more time makes it better: not if it is fitted in one step."""
        return self.config.classic is None and self.config.schedule.epochs > 0

    @property
    def described(self) -> str:
        """Its name, what it is, its photos if these are not all, and its length."""
        schedule, part = self.config.schedule, self.config.data.max_images
        length = f"{schedule.minutes:.1f} minutes" if schedule.minutes else counted(schedule.epochs, "epoch")
        some = f", on {part:,} of the photos" if part else ""
        return f"{self.name} ({self.title}{some}{f', {length}' if self.takes_time else ''})"


@dataclass(frozen=True)
class Plan:
    """What to train."""

    candidates: tuple[Candidate, ...]
    """In this order."""
    not_tried: tuple[NotTried, ...]
    """Without those that a better one replaces."""
    spare: float = 0.0
    """Seconds for which there is no use."""


@dataclass(frozen=True)
class Speed:
    """Of this machine."""

    network: float
    """Photos per second that train the small network."""
    fisher: FisherSpeed
    """Of `sift-fv`."""
    last_layer: float = 0.0
    """Seconds for the logistic regressions of a last layer, for each training photo."""

    @property
    def forward(self) -> float:
        """Seconds to predict a photo with the small network: a third of those in training."""
        return 1 / (3 * self.network)

    def as_observed(
        self, photos: PhotoCounts, trained_on: int, seconds: float, prediction_seconds: float
    ) -> Speed:
        """Corrected by what `linear` took: `seconds` with `trained_on` training photos, of which
        `prediction_seconds` for one prediction of the validation photos; it has predicted them twice.

        This is for CPUs: with a GPU, reading the photos takes most of the time. With few photos nothing can
        be concluded.
        """
        if photos.validation < ENOUGH_PREDICTED or prediction_seconds <= 0:
            return self
        forward = prediction_seconds / photos.validation
        rest = seconds - 2 * (trained_on + photos.validation) * forward
        slowdown = forward / self.forward
        fisher = self.fisher if 1 / BUSY < slowdown < BUSY else self.fisher.slowed(slowdown)
        return Speed(1 / (3 * forward), fisher, max(0.0, rest) / trained_on)


def measure_speed(photos: PhotoCounts, device: torch.device) -> Speed:
    """The machine's speed for such photos, measured for a second or two."""
    pipeline = _fisher(photos, 0, 0.0).config
    assert pipeline.classic is not None
    fisher = fisher_speed(pipeline.classic, pipeline.data.input_size, device)
    passes = LAST_LAYER_PASSES if photos.train < MANY_IMAGES else PASSES_OF_MANY
    return Speed(network_speed(device, INPUT), fisher, passes * last_layer_speed(photos.classes))


def first_candidate(photos: PhotoCounts, seconds: float, speed: Speed, seed: int) -> Candidate:
    """`linear`, on all training photos, or as many as should take its share of `seconds`."""
    affordable = int(LINEAR_SHARE * seconds / (2 * speed.forward + speed.last_layer))
    part = min(photos.train, max(affordable, LINEAR_PHOTOS, photos.classes))
    return _linear(photos, seed, part)


def plan(
    photos: PhotoCounts,
    seconds: float,
    speed: Speed,
    seed: int,
    done: Mapping[str, int] = {},
    refit: float = 0.0,
    *,
    networks_only: bool = False,
) -> Plan:
    """The candidates to train after `linear` within `seconds`, in this order.

    Time is reserved for the refit of the slowest candidate that is fitted in one step, if it fits besides the
    candidates themselves, and of `fine-tuned` where there are few photos. `done` has the training photos of
    the candidates that were trained before: those are planned only with clearly more photos, or all. A refit
    of them takes `refit` seconds at most. `networks_only` leaves out `sift-fv`.
    """
    found, left, epochs_per_second = list[Candidate](), seconds, speed.network / photos.train
    reserved, not_tried = refit, list[NotTried]()

    def fits(name: str, part: int, cost: float, share: float) -> bool:
        """Whether a candidate of this cost, which may take a share of the time, is tried on `part` photos;
        its time is then taken, and that of its refit reserved.
        """
        nonlocal left, reserved
        if name in done and not are_more(part, done[name], photos.train):
            return False
        if cost > share * seconds:
            reason = f"about {duration(cost)}, more than {100 * share:.0f} % of the time"
            not_tried.append(NotTried(name, reason))
            return False
        left -= cost + START_SECONDS
        if part == photos.train:
            reserved = max(reserved, cost * photos.refit)
        return True

    part = _fisher_photos(photos, FISHER_SHARE * seconds, speed.fisher)
    cost = _fisher_cost(part, photos, speed.fisher)
    if networks_only:
        not_tried.append(NotTried(FISHER, "not a network"))
    elif fits(FISHER, part, cost, FISHER_SHARE):
        found.append(_fisher(photos, seed, FISHER_SHARE * seconds / 60, part, cost))
    cost = photos.train * (LARGE_COST / speed.network + speed.last_layer)
    if photos.side < LARGE_TEST_SIZE:
        not_tried.append(NotTried(LINEAR_LARGE, f"photos have fewer than {LARGE_TEST_SIZE} pixels"))
    elif fits(LINEAR_LARGE, photos.train, cost, LARGE_SHARE):
        found.append(_linear_large(photos, seed, LARGE_SHARE * seconds / 60, cost))
    left -= START_SECONDS  # of `fine-tuned`
    if reserved <= left:
        left -= reserved
    scratch = SCRATCH_SHARE * left
    if photos.per_class < MANY:
        not_tried.append(NotTried(SMALL, f"fewer than {MANY} training photos per class"))
        scratch = 0.0
    elif scratch * epochs_per_second < MIN_EPOCHS:
        not_tried.append(NotTried(SMALL, f"no time for {MIN_EPOCHS} epochs"))
        scratch = 0.0
    left -= scratch
    if left * epochs_per_second < 1:
        not_tried.append(NotTried(FINE_TUNED, "no time for an epoch besides the others"))
    else:
        twice = left * epochs_per_second >= ENOUGH_EPOCHS * (1 + photos.refit)
        length = _Length.within(left / (1 + photos.refit) if twice else left, epochs_per_second)
        found.append(_fine_tuned(photos, seed, length))
        left -= length.seconds * (1 + photos.refit if twice else 1)
    if scratch and seconds >= 60 * LONG_MINUTES:
        found.append(_modern(photos, seed, _Length.within(scratch, epochs_per_second / MODERN_COST)))
    elif scratch:
        found.append(_small(photos, seed, _Length.within(scratch, epochs_per_second)))
    return Plan(tuple(found), tuple(not_tried), max(0.0, left))


def are_more(photos: int, before: int, train: int) -> bool:
    """Whether a candidate is worth training again on so many of the `train` photos.

    One that uses all of them can be retrained with the validation photos, and finds wrong labels.
    """
    return photos >= MORE_PHOTOS * before or before < photos == train


def shortened(candidate: Candidate, seconds: float) -> Candidate | None:
    """The candidate with no more than `seconds` for its training; None if that is too short.

    One that gains from time is trained for less time, if that is an epoch or more; the time limit of another
    is lowered, if what was planned for it still fits.
    """
    if not candidate.takes_time:
        if candidate.seconds > seconds:
            return None
        return replace(candidate, max_minutes=min(candidate.max_minutes, seconds / 60))
    if candidate.seconds <= seconds:
        return candidate
    schedule = candidate.config.schedule
    epochs = schedule.epochs * seconds / candidate.seconds
    if epochs < 1:
        return None
    length = _Length(round(epochs), seconds, limited=True)
    config = override(candidate.config, length.settings(schedule.warmup_epochs / schedule.epochs))
    return replace(candidate, config=config, seconds=seconds)


def _fisher_photos(photos: PhotoCounts, seconds: float, speed: FisherSpeed) -> int:
    """The number of training photos that `sift-fv` can use within `seconds`, limited by `FISHER_PHOTOS`."""
    fewest, most = (min(photos.train, limit) for limit in FISHER_PHOTOS)
    counts = range(most + 1)
    affordable = bisect_right(counts, seconds, key=lambda count: _fisher_cost(count, photos, speed))
    return max(fewest, affordable - 1)


def _fisher_cost(count: int, photos: PhotoCounts, speed: FisherSpeed) -> float:
    return speed.seconds(count, FISHER_DESCRIPTORS, photos.predicted)


def every_candidate(photos: PhotoCounts, seen: int, seed: int) -> list[Candidate]:
    """One of each kind, whatever `plan` would choose.

    Those that gain from time see `seen` photos in training, each one once an epoch, and `alexnet-modern`,
    which takes longer for each, fewer; `MAX_EPOCHS` at most.
    """

    def length(cost: float) -> _Length:
        return _Length(min(MAX_EPOCHS, max(1, round(seen / cost / photos.train))))

    return [
        _linear(photos, seed, photos.train),
        *([_linear_large(photos, seed)] if photos.side >= LARGE_TEST_SIZE else []),
        _fisher(photos, seed, max_minutes=0.0),
        _fine_tuned(photos, seed, length(1)),
        _small(photos, seed, length(1)),
        _modern(photos, seed, length(MODERN_COST)),
    ]


@dataclass(frozen=True)
class _Length:
    """The length of a training."""

    epochs: int
    seconds: float = 0.0
    """In which about as many epochs fit; 0 if unknown."""
    limited: bool = False
    """Whether the training ends with the time, and not after the epochs."""

    @classmethod
    def within(cls, seconds: float, epochs_per_second: float) -> _Length:
        """`MAX_EPOCHS` if they fit, else all the time.

        If they fit only once, their time counts: the machine may become slower.
        """
        epochs, longest = seconds * epochs_per_second, MAX_EPOCHS / epochs_per_second
        if epochs >= MAX_EPOCHS:
            return cls(MAX_EPOCHS, longest, limited=epochs < 2 * MAX_EPOCHS)
        return cls(max(1, round(epochs)), seconds, limited=True)

    def settings(self, warmup: float) -> list[str]:
        """With `warmup` as a fraction of the whole, and about ten validations."""
        return [
            f"schedule.epochs={self.epochs}",
            f"schedule.minutes={self.seconds / 60 if self.limited else 0:.5g}",
            f"schedule.warmup_epochs={warmup * self.epochs:.3g}",
            f"training.evaluate_every_epochs={max(1, self.epochs // 10)}",
        ]


def _small_network(photos: PhotoCounts, seed: int, *others: str) -> RunConfig:
    return override(
        recipes.get("alexnet-small"),
        [
            f"data.image_size={photos.side}",
            f"data.input_size={min(INPUT, photos.side)}",
            f"data.test_size={TEST_SIZE}",
            f"training.seed={seed}",
            f"training.batch_size={_batch_size(photos)}",
            *others,
        ],
    )


def _linear(photos: PhotoCounts, seed: int, part: int) -> Candidate:
    """Trained on `part` photos."""
    config = _small_network(photos, seed, "training.fit_last_layer=yes", "schedule.epochs=0")
    title = "logistic regression on the pretrained network's features"
    return Candidate(LINEAR, title, _on_a_part(config, photos, part), PRETRAINED)


def _on_a_part(config: RunConfig, photos: PhotoCounts, part: int) -> RunConfig:
    """The configuration with `part` training photos."""
    return config if part >= photos.train else override(config, [f"data.max_images={part}"])


def _linear_large(
    photos: PhotoCounts, seed: int, max_minutes: float = 0.0, seconds: float = 0.0
) -> Candidate:
    sizes = (f"data.input_size={LARGE_INPUT}", f"data.test_size={LARGE_TEST_SIZE}")
    config = _small_network(photos, seed, *sizes, "training.fit_last_layer=yes", "schedule.epochs=0")
    title = f"the same with photos of {LARGE_INPUT} instead of {INPUT} pixels"
    return Candidate(LINEAR_LARGE, title, config, PRETRAINED, max_minutes, seconds)


def _fine_tuned(photos: PhotoCounts, seed: int, length: _Length) -> Candidate:
    config = _small_network(photos, seed, *length.settings(0.1), *_FINE_TUNING)
    title = "the pretrained network, all layers trained"
    return Candidate(FINE_TUNED, title, config, LINEAR, seconds=length.seconds)


_FINE_TUNING = ("training.frozen_statistics=yes", "optimizer.lr=0.0003", "model.dropout=0")


def _small(photos: PhotoCounts, seed: int, length: _Length) -> Candidate:
    config = _small_network(photos, seed, *length.settings(0.1))
    return Candidate(SMALL, "the same network from random weights", config, seconds=length.seconds)


def _modern(photos: PhotoCounts, seed: int, length: _Length) -> Candidate:
    size = min(photos.side, LARGE_TEST_SIZE)
    settings = [
        f"data.image_size={photos.side}",
        f"data.input_size={size * 7 // 8}",
        f"data.test_size={size}",
        f"training.seed={seed}",
    ]
    config = override(recipes.get("alexnet-modern"), [*settings, *length.settings(0.05)])
    title = "AlexNet as one would build it today, from random weights"
    return Candidate(MODERN, title, config, seconds=length.seconds)


def _fisher(
    photos: PhotoCounts, seed: int, max_minutes: float, part: int | None = None, seconds: float = 0.0
) -> Candidate:
    """Trained on `part` photos, by default on all."""
    side = photos.side
    settings = [f"data.image_size={side}", f"data.input_size={side}", f"training.seed={seed}"]
    settings += [f"classic.sample_descriptors={FISHER_DESCRIPTORS}", "classic.classifier=least-squares"]
    config = override(recipes.get("sift-fv"), settings)
    config = _on_a_part(config, photos, photos.train if part is None else part)
    title = "SIFT and color as Fisher vectors, linear classifiers"
    return Candidate(FISHER, title, config, max_minutes=max_minutes, seconds=seconds)


def _batch_size(photos: PhotoCounts) -> int:
    """About a tenth of few photos, for enough updates; 16 to 64."""
    return min(max(photos.train // 10, 16), 64, photos.train)
