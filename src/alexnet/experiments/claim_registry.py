"""Changes of the common net that claims ask for: from a variant, and what it sees, to a variant."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from alexnet.data.config import DataConfig
from alexnet.errors import CommandError
from alexnet.experiments.claims import (
    ABOVE_0,
    ABOVE_1,
    After,
    Arm,
    Band,
    Claim,
    Comparison,
    EpochsTo,
    Gap,
    Last,
)
from alexnet.experiments.measures import (
    EnsembleGain,
    ErrorOf,
    FeaturesError,
    InvertedDropout,
    LinearDropout,
    PeakMegabytes,
    UpdateSeconds,
)
from alexnet.models.alexnet import READS_BOTH_TOWERS, AlexNet, Variant
from alexnet.models.summary import summarize_model
from alexnet.published.alexnet import (
    DROPOUT_TIMES_LONGER,
    GAINS,
    RELU_TIMES_FASTER,
    RELU_TRAINING_ERROR,
    TABLE_1,
    TABLE_2,
)
from alexnet.published.rows import Row

Change = Callable[[Variant, DataConfig], Variant]
SAME_COST = 0.03
"""By which multiply-adds may differ and still count as the same."""
SMALL_WINDOW = 5
"""Pixels across, of photos too small for conv1's 11 at a stride of 4."""


def fields(**changes: Any) -> Change:
    """The same net with some fields changed."""
    return lambda variant, data: replace(variant, **changes)


def wider(factor: float) -> Change:
    """`factor` times as many maps and units in each layer, first weights as large as keeps a unit's sum."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        return with_widths(variant, [_even(factor * width) for width in variant.widths], variant.towers)

    return change


@functools.cache  # it counts some dozens of nets
def one_tower(variant: Variant, data: DataConfig) -> Variant:
    """One tower instead of two, with fewer maps, so that the multiply-adds are the same within `SAME_COST`.

    The fully connected layers stay as they are. CommandError where no such numbers of maps are found.
    """
    convolutions = len(variant.widths) - 2
    cost = multiply_adds(variant, data)
    tried: dict[float, Variant] = {}
    for factor in np.linspace(1.0, 0.5, 26):
        widths = [_even(factor * width) for width in variant.widths[:convolutions]]
        one = with_widths(variant, [*widths, *variant.widths[convolutions:]], 1)
        tried[abs(multiply_adds(one, data) / cost - 1)] = one
    nearest = min(tried)
    if nearest > SAME_COST:
        raise CommandError("no single tower costs as much as the two: choose a net of more maps")
    return tried[nearest]


def without_words(*words: str) -> Change:
    """Nothing of those words, such as `lrn`, follows any layer."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        stages = (
            "+".join(word for word in stage.split("+") if word not in words) for stage in variant.stages
        )
        return replace(variant, stages=tuple(stages))

    return change


def without_layer(layer: str) -> Change:
    """The layer is left out; where it is pooled, the one before it is followed by what followed it."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        place, stages = variant.places.index(layer), list(variant.stages)
        if "pool" in stages[place].split("+"):
            stages[place - 1] = stages[place]
        return replace(variant, without=(*variant.without, layer), stages=tuple(stages))

    return change


def with_widths(variant: Variant, widths: Sequence[int], towers: int) -> Variant:
    """Other numbers of maps and units, with first weights whose sums over a unit's inputs are as large."""
    changed = replace(variant, widths=tuple(widths), towers=towers)
    read = zip(_inputs(variant), _inputs(changed), strict=True)
    factors = [math.sqrt(before / after) for before, after in read]
    deviations = (
        round(deviation * factor, 6) for deviation, factor in zip(variant.deviations, factors, strict=True)
    )
    return replace(changed, deviations=tuple(deviations))


def for_small_photos(variant: Variant, data: DataConfig) -> Variant:
    """Smaller windows in conv1, each pixel apart, with first weights whose sums over them are as large."""
    inputs = [3 * variant.conv1_size**2, data.channels * SMALL_WINDOW**2]
    deviation = round(variant.deviations[0] * math.sqrt(inputs[0] / inputs[1]), 6)
    changes = {"conv1_size": SMALL_WINDOW, "conv1_stride": 1}
    return replace(variant, **changes, deviations=(deviation, *variant.deviations[1:]))


def multiply_adds(variant: Variant, data: DataConfig) -> int:
    """Multiplications with a weight for one crop of the images and ten classes."""
    with torch.device("meta"):
        net = AlexNet(variant, 10, data.input_size, channels=data.channels)
        return summarize_model(net, data.input_size, data.channels).multiply_adds


def _inputs(variant: Variant) -> list[float]:
    """Maps or units that one unit of each layer reads."""
    before = (3, *variant.widths)
    own = [layer.startswith("conv") and layer not in READS_BOTH_TOWERS for layer in variant.places]
    return [width / (variant.towers if of_own else 1) for width, of_own in zip(before, own, strict=True)]


def _even(number: float) -> int:
    return max(2, 2 * round(number / 2))


COMMON = Arm("common")
"""The 2012 net at the claims' size: two towers, normalizers, overlapping pooling, dropout, augmentation."""

_UNREGULARIZED = (
    *("model.dropout=0", "optimizer.weight_decay=0", "schedule.name=constant"),
    *("data.cropping=center", "data.mirror=no", "data.pca_lighting=none"),
)
_LONGER = 1.5


_FOUR_LAYERS = fields(without=("conv3", "conv4", "conv5", "fc7"), biases=(0.0,) * 8)
"""As the paper's figure has it, and as small a net: conv1, conv2, fc6, fc8. No bias pushes units of one kind
to where they learn and units of another to where they do not."""


def _activation(name: str, rate: float) -> Arm:
    settings = (*_UNREGULARIZED, f"model.activation={name}", f"optimizer.lr={rate:g}")
    return Arm(f"{name}-rate-{rate:g}", settings, net=_FOUR_LAYERS, longer=_LONGER)


RATES = (0.01, 0.03)
RELU, TANH, SIGMOID = (
    tuple(_activation(name, rate) for rate in RATES) for name in ("relu", "tanh", "sigmoid")
)
"""Without any regularization (paper, figure 1). Each at two rates, of which the better counts for each seed:
in the paper each net's rate was the one that is fastest for it."""

NO_LRN = Arm("without-normalisers", net=without_words("lrn", "spatial"))
"""Both normalizers of the 2012 net left out, as net 148 of its source release did."""

NOT_OVERLAPPING = Arm("pooling-2-by-2", net=fields(pool_size=2, pool_rounds_up=False))
AVERAGED = Arm("average-pooling", net=fields(pooling="average", pool_size=2, pool_rounds_up=False))
"""Rounded down, so that maps are as large as with overlapping windows; the last, odd pixels are not seen."""

_SLOWER, _LONG = "optimizer.lr=0.003", 3
"""Without dropout twice as many units push the next layer: 0.01 throws the net off in its first updates."""
DROPOUT = Arm("dropout", (_SLOWER,), longer=_LONG)
NO_DROPOUT = Arm("without-dropout", (_SLOWER, "model.dropout=0"), longer=_LONG)
WEIGHT_DECAY = Arm("weight-decay", (_SLOWER, "model.dropout=0", "optimizer.weight_decay=0.005"), longer=_LONG)
"""Ten times the paper's weight decay in place of dropout."""

BIAS_0 = Arm("bias-0", net=fields(biases=(0.0,) * 8))
_TODAY = ("data.normalization=mean-and-std",)
KAIMING_0 = Arm("kaiming-bias-0", _TODAY, net=fields(initialization="kaiming"))
KAIMING_1 = Arm("kaiming-bias-1", _TODAY, net=fields(initialization="kaiming-with-biases"))
"""Kaiming's first weights keep a signal's size, and want one of about 1 to begin with."""

PLATEAU = Arm(
    "plateau",
    ("schedule.name=plateau", "schedule.patience_epochs=1", "schedule.max_drops=100"),
)
"""Divided by 10 after each epoch that brings no better validation error: a patience of 1 in a dozen epochs is
what 5 is in 90. It never ends the run, so that all are as long."""
CONSTANT = Arm("constant-rate", ("schedule.name=constant",))

NO_AUGMENTATION = Arm("no-augmentation", ("data.cropping=center", "data.mirror=no", "data.pca_lighting=none"))
CROPS = Arm("crops-and-mirroring", ("data.pca_lighting=none",))
NOISE_OF_THE_TEXT = Arm("colour-noise-of-the-text", ("data.pca_lighting=paper",))
"""`COMMON` has the color noise of the source."""

SHARES = tuple(Arm(f"photos-1-of-{parts}", share=1 / parts) for parts in (8, 4, 2))
NARROW = Arm("half-as-wide", net=wider(0.5))
WIDE = Arm("twice-as-wide", net=wider(2.0))
LENET = Arm("lenet-5", recipe="lenet-5")

ONE_TOWER = Arm("one-tower-of-the-same-cost", net=one_tower)
WITHOUT = {
    layer: Arm(f"without-{layer}", net=without_layer(layer))
    for layer in ("conv2", "conv3", "conv4", "conv5", "fc7")
}

PER_CLASS = (10, 30, 100)
OTHER = Arm("other-classes", photos="other")
SCRATCH = {
    number: Arm(f"from-scratch-{number}-a-class", per_class=number, photos="target") for number in PER_CLASS
}


_GAINS = {gain.ingredient: gain for gain in GAINS}
TO_THRESHOLD = EpochsTo(RELU_TRAINING_ERROR)
SMALL = Band(-0.02, 0.02)
"""What "no difference" is at this size: two points of error either way."""
ERROR = Last()


def _ingredient_points(ingredient: str) -> str:
    gain = _GAINS[ingredient]
    return f"{100 * gain.top1:g} points ({gain.source})"


RELU_CLAIM = Claim(
    "relu",
    "A net of rectified linear units learns faster than one of tanh or sigmoid units.",
    "paper, section 3.1 and figure 1",
    (
        Comparison(
            "epochs that tanh needs, less those of ReLU",
            *(TO_THRESHOLD, TANH, ABOVE_0, RELU),
            paper=f"{RELU_TIMES_FASTER} times as many (figure 1)",
        ),
        Comparison(
            "epochs that the sigmoid needs, less those of ReLU",
            *(TO_THRESHOLD, SIGMOID, ABOVE_0, RELU),
        ),
    ),
    curve="training_error",
    remarks=(
        f"Compared are {TO_THRESHOLD.words}, as in the paper's figure.",
        "Four layers that learn, as in the paper's figure: conv1, conv2, fc6 and fc8 of the common net.",
        "No regularization of any kind, as there; a constant rate; biases begin at 0.",
    ),
)

OVERLAP = Claim(
    "overlap",
    "Pooling with overlapping windows makes fewer errors than without, and overfits less.",
    "paper, section 3.4",
    (
        Comparison(
            "error of 2 x 2 windows, less that of overlapping ones",
            *(ERROR, (NOT_OVERLAPPING,), ABOVE_0, (COMMON,)),
            paper=_ingredient_points("overlapping pooling"),
        ),
        Comparison(
            "error of LeNet's average of 2 x 2, less that of the largest of 2 x 2",
            *(ERROR, (AVERAGED,), ABOVE_0, (NOT_OVERLAPPING,)),
        ),
        Comparison(
            "overfitting of 2 x 2 windows, less that of overlapping ones",
            *(Gap(), (NOT_OVERLAPPING,), ABOVE_0, (COMMON,)),
            paper="slightly more difficult to overfit",
        ),
    ),
)

BIAS_ONE = Claim(
    "bias-one",
    "Biases that begin at 1 speed up the early stages of learning; with today's first weights it does not "
    "matter.",
    "paper, section 5",
    (
        Comparison(
            "training error after two epochs with biases of 0, less that with 1",
            *(After(2), (BIAS_0,), ABOVE_0, (COMMON,)),
        ),
        Comparison(
            "error in the end with biases of 0, less that with 1, both with Kaiming's first weights",
            *(ERROR, (KAIMING_0,), SMALL, (KAIMING_1,)),
        ),
        Comparison(
            "training error after two epochs with biases of 0, less that with 1, Kaiming's first weights",
            *(After(2), (KAIMING_0,), SMALL, (KAIMING_1,)),
            decides=False,
        ),
    ),
    curve="training_error",
)

SCHEDULES = Claim(
    "schedules",
    "Dividing the rate by 10 when the validation error stops falling beats a constant rate.",
    "paper, section 5",
    (
        Comparison(
            "error with a constant rate, less that of the plateau rule",
            *(ERROR, (CONSTANT,), ABOVE_0, (PLATEAU,)),
        ),
        Comparison(
            "error of the plateau rule, less that of a cosine",
            *(ERROR, (PLATEAU,), SMALL, (COMMON,)),
            decides=False,
        ),
    ),
    remarks=(
        "The plateau rule looks at the validation photos that it is then judged by, as in the paper.",
        "Patience 1 in so few epochs, and as many drops as it likes, so that all runs are equally long.",
    ),
)

AUGMENTATION = Claim(
    "augmentation",
    "Random crops and mirroring lower the error, and so does color noise.",
    "paper, section 4.1",
    (
        Comparison(
            "error without, less that with crops and mirroring",
            *(ERROR, (NO_AUGMENTATION,), ABOVE_0, (CROPS,)),
            paper="without it the nets overfit substantially",
        ),
        Comparison(
            "error with crops alone, less that with the source's color noise too",
            *(ERROR, (CROPS,), ABOVE_0, (COMMON,)),
            paper=_ingredient_points("color noise"),
        ),
        Comparison(
            "error with crops alone, less that with the text's color noise too",
            *(ERROR, (CROPS,), ABOVE_0, (NOISE_OF_THE_TEXT,)),
            paper=_ingredient_points("color noise"),
        ),
        Comparison(
            "overfitting without, less that with crops and mirroring",
            *(Gap(), (NO_AUGMENTATION,), ABOVE_0, (CROPS,)),
            decides=False,
        ),
    ),
    remarks=(
        "The text scales a color shift by the eigenvalues of the covariance, the source by their roots.",
    ),
)

_PUBLISHED_WITHOUT = ("conv3", "conv4", "conv5")
TOWERS_AND_DEPTH = Claim(
    "towers-and-depth",
    "Two towers do as well as one of the same cost, and each middle layer is worth about two points.",
    "paper, sections 3.2, 3.5 and 7",
    (
        Comparison(
            "error of one tower, less that of two, as many multiply-adds",
            *(ERROR, (ONE_TOWER,), SMALL, (COMMON,)),
        ),
        *(
            Comparison(
                f"error without {layer}, less that with it",
                *(ERROR, (arm,), Band(0.01, 0.04), (COMMON,)),
                decides=layer in _PUBLISHED_WITHOUT,
                paper=_ingredient_points("each of conv3, conv4, conv5")
                if layer in _PUBLISHED_WITHOUT
                else "",
            )
            for layer, arm in WITHOUT.items()
        ),
    ),
    remarks=(
        "The paper measures its two towers against a net half as wide, which costs less (1.7 points).",
        "conv3 is where the towers read each other: without it they meet in fc6 only. Without conv2 or conv5 "
        "the one before is pooled as they were. conv2 and fc7 are beside: the published gains are of others.",
    ),
)


NONE = Band(-0.01, 0.01)
"""Of VGG's authors: "does not improve", a point either way."""
ROUNDING, EXACT = Band(-1e-5, 1e-5), Band(-1e-9, 1e-9)
"""Of float32 through a net, and of float64 through one equation."""


def _points(rows: Sequence[Row], worse: str, its_views: str, better: str, views: str) -> str:
    """By how many points of top-1 error one published row is better than another."""
    errors = {(row.system, row.views): row.top1 or 0.0 for row in reversed(rows)}
    return f"{100 * (errors[worse, its_views] - errors[better, views]):.2g} points"


_FIVE = f"{_points(TABLE_2, 'AlexNet', 'ten', '5 AlexNets', 'ten')} (table 2)"
_LRN = next(gain for gain in GAINS if gain.ingredient.startswith("local response"))

LRN = Claim(
    "lrn",
    "Local response normalization lowers the error.",
    "paper, section 3.3; Simonyan and Zisserman 2014, section 4.1, found no effect",
    (
        Comparison(
            "error without normalizers, less that with them",
            *(ERROR, (NO_LRN,), ABOVE_0, (COMMON,)),
            paper=f"{100 * _LRN.top1:g} points ({_LRN.source})",
        ),
        Comparison(
            "VGG's authors: error without normalizers is that with them",
            *(ERROR, (NO_LRN,), NONE, (COMMON,)),
            decides=False,
            paper="no improvement (VGG, table 3, nets A and A-LRN)",
        ),
        Comparison(
            "it costs memory: an update's with normalizers, over one without",
            *(PeakMegabytes(), (COMMON,), ABOVE_1, (NO_LRN,)),
            ratio=True,
            decides=False,
        ),
        Comparison(
            "it costs time: an update's with normalizers, over one without",
            *(UpdateSeconds(), (COMMON,), ABOVE_1, (NO_LRN,)),
            ratio=True,
            decides=False,
        ),
    ),
    remarks=(
        "Without both normalizers of the 2012 net, as in net 148 of its source release.",
        "Memory is what is kept for the gradients. On a CPU with a C++ compiler the kernel of a pooled layer "
        "keeps nothing for its normalizer and computes it again instead, which costs time alone.",
    ),
)

DROPOUT_CLAIM = Claim(
    "dropout",
    "Dropout overfits less and needs about twice the iterations; halving at test is the inverted form; "
    "it is more than L2 regularization.",
    "paper, section 4.2; Srivastava et al. 2014, section 9.1",
    (
        Comparison(
            "overfitting without dropout, less that with it",
            *(Gap(), (NO_DROPOUT,), ABOVE_0, (DROPOUT,)),
        ),
        Comparison(
            "epochs with dropout, over those without",
            *(EpochsTo(RELU_TRAINING_ERROR), (DROPOUT,), ABOVE_1, (NO_DROPOUT,)),
            ratio=True,
            paper=f"about {DROPOUT_TIMES_LONGER} times the iterations to converge (section 4.2)",
        ),
        Comparison(
            "error without dropout, less that with it",
            *(ERROR, (NO_DROPOUT,), ABOVE_0, (DROPOUT,)),
        ),
        Comparison(
            "error with ten times the weight decay instead, less that with dropout",
            *(ERROR, (WEIGHT_DECAY,), ABOVE_0, (DROPOUT,)),
            decides=False,
        ),
        Comparison(
            "half of each unit in the test is the inverted form: probabilities apart, at most",
            *(InvertedDropout(), (DROPOUT,), ROUNDING),
        ),
        Comparison(
            "of a linear model dropout is a ridge: weights apart, at most",
            *(LinearDropout(), (DROPOUT,), EXACT),
        ),
    ),
    remarks=(
        "All three nets are trained three times as long as those of other claims, at 0.003: without dropout "
        "0.01 is too much for the first updates.",
    ),
)

AVERAGING = Claim(
    "averaging",
    "Ten crops beat one, and several nets averaged beat one net.",
    "paper, sections 4.1 and 6, table 2",
    (
        Comparison(
            "error with the central crop, less that with ten crops",
            *(ErrorOf("center"), (COMMON,), ABOVE_0, (COMMON,)),
            other_measure=ErrorOf("ten"),
            paper=f"{_points(TABLE_1, 'AlexNet', 'center', 'AlexNet', 'ten')} (section 6)",
        ),
        *(
            Comparison(
                f"error of a net alone, less that of {nets} averaged",
                *(EnsembleGain(nets), (COMMON,), ABOVE_0),
                paper=_FIVE if nets == 5 else "",
            )
            for nets in (2, 3, 5)
        ),
    ),
    seeds=tuple(range(5)),
    remarks=(
        "Nets averaged: of the very same photos, mean over all choices among the seeds; the interval is over "
        "photos, for these nets. With ten crops, or the central one of nets trained without mirroring.",
    ),
)

_LADDER = (LENET, NARROW, COMMON, WIDE)
_AMOUNTS = (*SHARES, COMMON)
MORE_DATA = Claim(
    "more-data",
    "More photos and a bigger net lower the error.",
    "paper, sections 1 and 7",
    tuple(
        Comparison(f"error of {less.name}, less that of {more.name}", *(ERROR, (less,), ABOVE_0, (more,)))
        for ladder in (_AMOUNTS, _LADDER)
        for less, more in pairwise(ladder)
    ),
    remarks=("Fewer photos get as many updates. LeNet-5 is trained by its own recipe on the same crops.",),
)

FEATURES_TRAVEL = Claim(
    "features-travel",
    "What fc7 has learned from other classes, with a linear classifier, beats the same net trained from "
    "scratch on few photos.",
    "the lecture; Donahue et al. 2013, DeCAF",
    tuple(
        Comparison(
            f"{number} photos a class: error from scratch, less that of the features",
            *(ERROR, (SCRATCH[number],), ABOVE_0, (OTHER,)),
            other_measure=FeaturesError(number),
        )
        for number in PER_CLASS
    ),
    remarks=("From scratch: batches of 32, as many updates as the common net.",),
)


CLAIMS = (
    *(RELU_CLAIM, LRN, OVERLAP, DROPOUT_CLAIM, BIAS_ONE, SCHEDULES, AUGMENTATION, AVERAGING, MORE_DATA),
    *(TOWERS_AND_DEPTH, FEATURES_TRAVEL),
)
ALL = "all"


def find(words: Sequence[str]) -> list[Claim]:
    """The claims of those ids in the lecture's order, all for `all`; CommandError names the nearest."""
    ids = [claim.id for claim in CLAIMS]
    for word in words:
        if word not in (*ids, ALL):
            near = difflib.get_close_matches(word.lower(), ids, n=1, cutoff=0.0)
            raise CommandError(f"no claim {word!r}; the nearest is {near[0]!r} (`alexnet claims` lists them)")
    return [claim for claim in CLAIMS if claim.id in words or ALL in words]
