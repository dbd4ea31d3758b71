"""Eleven claims about AlexNet, ten of them of the lecture: what is compared, and when a claim holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from alexnet.errors import CommandError
from alexnet.experiments.arms import WIDTH, Arm, fields, one_tower, wider, without_layer, without_steps
from alexnet.experiments.claim_results import Band
from alexnet.experiments.measures import (
    After,
    EnsembleGain,
    EpochsTo,
    ErrorOf,
    FeaturesError,
    Gap,
    InvertedDropout,
    Last,
    LinearDropout,
    Measure,
    UpdateMegabytes,
    UpdateSeconds,
)
from alexnet.published.alexnet import (
    DROPOUT_TIMES_LONGER,
    GAINS,
    RELU_TIMES_FASTER,
    RELU_TRAINING_ERROR,
    TABLE_1,
    TABLE_2,
)
from alexnet.published.rows import PublishedRow
from alexnet.text import suggestion

SEEDS = (0, 1, 2)
MIN_SEEDS = 3
"""Minimum number of seeds for a verdict."""
TRAINED = 0.05
"""Training error at the end of a run above which its model is still learning: its errors decide nothing."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A number for each seed: `measure` of the first arm minus, or divided by, that of the second."""

    id: str
    """Id of the comparison within its claim, used in files."""
    words: str
    """A description of the number: "error without dropout minus error with it"."""
    measure: Measure
    first: tuple[Arm, ...]
    """If there are several arms, the one with the lowest mean over the seeds counts: each kind of model at
    its best."""
    band: Band
    second: tuple[Arm, ...] = ()
    """Empty if the number is the measure of the first arm itself."""
    other_measure: Measure | None = None
    """The measure of the second arm, if it is another one."""
    ratio: bool = False
    """Whether the number is the first divided by the second instead of their difference."""
    decides: bool = True
    """Whether the claim's verdict depends on it; otherwise it is only reported."""
    paper: str = ""
    """What the source reports."""
    left_out: str = ""
    """Why it cannot be tested on this store; empty if it can."""

    @property
    def unit(self) -> str:
        """Unit of the number and of its band."""
        return "times" if self.ratio else self.measure.unit

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms that must be trained for it: none where it is left out."""
        return () if self.left_out else (*self.first, *self.second)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement made in the lecture, and how it is tested."""

    id: str
    statement: str
    source: str
    comparisons: tuple[Comparison, ...]
    curve: Literal["top1_error", "training_error"] = "top1_error"
    """The error that its figure shows over the epochs, for all arms."""
    seeds: tuple[int, ...] = SEEDS
    remarks: tuple[str, ...] = ()
    """Remarks that are needed to interpret the verdict."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms that must be trained for it, in order, each once."""
        return tuple(dict.fromkeys(arm for each in self.comparisons for arm in each.arms))


COMMON = Arm("common")
"""The 2012 model at the claims' size, with two towers, normalization, overlapping pooling and dropout."""

_UNREGULARIZED = (
    *("model.dropout=0", "optimizer.weight_decay=0", "schedule.name=constant"),
    *("data.cropping=center", "data.mirror=no", "data.pca_lighting=none"),
)
_LONGER = 1.5
_FOUR_LAYERS = fields(without=("conv3", "conv4", "conv5", "fc7"), biases=(0.0,) * 8)
"""Four layers as in the paper's figure 1: conv1, conv2, fc6, fc8. Biases are initialized to 0, since another
value could help units of one kind to learn and hinder those of another."""


def _activation(name: str, rate: float) -> Arm:
    settings = (*_UNREGULARIZED, f"model.architecture.activation={name}", f"optimizer.lr={rate:g}")
    return Arm(f"{name}-rate-{rate:g}", settings, change=_FOUR_LAYERS, longer=_LONGER)


RATES = (0.01, 0.03)
RELU, TANH, SIGMOID = (
    tuple(_activation(name, rate) for rate in RATES) for name in ("relu", "tanh", "sigmoid")
)
"""Models without any regularization (paper, figure 1), each at two learning rates, of which the better counts
for each seed: in the paper each model had the learning rate that was fastest for it."""

NO_LRN = Arm("without-normalization", change=without_steps("lrn", "spatial"))
"""Without both normalization layers of the 2012 model, as in net 148 of its source release."""

NOT_OVERLAPPING = Arm("pooling-2-by-2", change=fields(pool_size=2, ceil_mode=False))
AVERAGED = Arm("average-pooling", change=fields(pooling="average", pool_size=2, ceil_mode=False))
"""Sizes are rounded down, so that maps are as large as with overlapping windows; odd last pixels are
dropped."""

_SLOWER, _LONG, _FEW, _FULL = "optimizer.lr=0.003", 1.5, 1 / 8, wider(1 / WIDTH)
"""Without dropout, twice as many units drive the next layer, and the first updates diverge at 0.01. Models
of full width and few photos, so that they overfit: those without dropout learn all photos."""
DROPOUT = Arm("dropout", (_SLOWER,), longer=_LONG, share=_FEW, change=_FULL)
NO_DROPOUT = Arm("without-dropout", (_SLOWER, "model.dropout=0"), longer=_LONG, share=_FEW, change=_FULL)
WEIGHT_DECAYS = tuple(
    Arm(
        f"weight-decay-{decay:g}",
        (_SLOWER, "model.dropout=0", f"optimizer.weight_decay={decay:g}"),
        longer=_LONG,
        share=_FEW,
        change=_FULL,
    )
    for decay in (0.0015, 0.005)
)
"""3 and 10 times the paper's weight decay instead of dropout."""

BIAS_0 = Arm("bias-0", change=fields(biases=(0.0,) * 8))
_MODERN = ("data.normalization=mean-and-std",)
KAIMING_0 = Arm(
    "kaiming-bias-0",
    _MODERN,
    change=fields(initialization="kaiming-convolutions", biases=(0.0,) * 8),
)
KAIMING_1 = Arm("kaiming-bias-1", _MODERN, change=fields(initialization="kaiming-convolutions"))
"""Kaiming initialization preserves the scale of a signal, and expects inputs of scale 1."""

PLATEAU = Arm(
    "plateau",
    ("schedule.name=plateau", "schedule.patience_epochs=1", "schedule.max_drops=100"),
)
"""Divided by 10 after each epoch without a better validation error: a patience of 1 in a dozen epochs
corresponds to 5 in 90. It never ends the run, so that all runs are equally long."""
CONSTANT_RATE = Arm("constant-rate", ("schedule.name=constant",))

NO_AUGMENTATION = Arm("no-augmentation", ("data.cropping=center", "data.mirror=no", "data.pca_lighting=none"))
CROPS = Arm("crops-and-mirroring", ("data.pca_lighting=none",))
NOISE_OF_THE_TEXT = Arm("color-noise-of-the-text", ("data.pca_lighting=paper",))
"""`COMMON` has the color noise of the source."""

SHARES = tuple(Arm(f"photos-1-of-{parts}", share=1 / parts) for parts in (8, 4, 2))
NARROW = Arm("half-as-wide", change=wider(0.5))
WIDE = Arm("twice-as-wide", change=wider(2.0))
LENET = Arm("lenet-5", recipe="lenet-5")

ONE_TOWER = Arm("one-tower-of-the-same-cost", change=one_tower)
WITHOUT = {
    layer: Arm(f"without-{layer}", change=without_layer(layer))
    for layer in ("conv2", "conv3", "conv4", "conv5", "fc7")
}

PER_CLASS = (10, 30, 100)
OTHER = Arm("other-classes", photos="other")
SCRATCH = {
    number: Arm(f"from-scratch-{number}-a-class", per_class=number, photos="target") for number in PER_CLASS
}

ABOVE_0, ABOVE_1 = Band(low=0.0), Band(low=1.0)
SMALL, NONE = Band(-0.02, 0.02), Band(-0.01, 0.01)
"""The meaning of "no difference" at this size: at most two points of error; for VGG's authors, one."""
A_LAYER = Band(0.01, 0.04)
"""Band of about two points."""
ROUNDING, EXACT = Band(-1e-5, 1e-5), Band(-1e-9, 1e-9)
"""Rounding errors of float32 in a model, and of float64 in one equation."""
TO_THRESHOLD = EpochsTo(RELU_TRAINING_ERROR)
ERROR = Last()

_GAINS = {gain.ingredient: gain for gain in GAINS}


def _gain(ingredient: str) -> str:
    gain = _GAINS[ingredient]
    return f"{100 * gain.top1:g} points ({gain.source})"


def _points(rows: Sequence[PublishedRow], worse: str, its_views: str, better: str, views: str) -> str:
    """The difference in top-1 error between two published rows, in points."""
    errors = {(row.system, row.views): row.top1 or 0.0 for row in reversed(rows)}
    return f"{100 * (errors[worse, its_views] - errors[better, views]):.2g} points"


_LRN_GAIN = _gain(next(name for name in _GAINS if name.startswith("local response")))
_FIVE = f"{_points(TABLE_2, 'AlexNet', 'ten', '5 AlexNets', 'ten')} (table 2)"

RELU_CLAIM = Claim(
    id="relu",
    statement="ReLU units learn faster than tanh or sigmoid units.",
    source="paper, section 3.1 and figure 1",
    comparisons=(
        Comparison(
            id="tanh",
            words="epochs with tanh minus epochs with ReLU",
            measure=TO_THRESHOLD,
            first=TANH,
            second=RELU,
            band=ABOVE_0,
            paper=f"{RELU_TIMES_FASTER} times as many (figure 1)",
        ),
        Comparison(
            id="sigmoid",
            words="epochs with sigmoid minus epochs with ReLU",
            measure=TO_THRESHOLD,
            first=SIGMOID,
            second=RELU,
            band=ABOVE_0,
        ),
    ),
    curve="training_error",
    remarks=(
        f"Compared are {TO_THRESHOLD.words}, as in the paper's figure.",
        "Four layers with weights, as in the paper's figure: conv1, conv2, fc6 and fc8 of the common model.",
        "No regularization of any kind, as there; a constant learning rate; biases are initialized to 0.",
    ),
)

LRN = Claim(
    id="lrn",
    statement="Local response normalization lowers the error.",
    source="paper, section 3.3; Simonyan and Zisserman 2014, section 4.1, found no effect",
    comparisons=(
        Comparison(
            id="error",
            words="error without normalization minus error with it",
            measure=ERROR,
            first=(NO_LRN,),
            second=(COMMON,),
            band=ABOVE_0,
            paper=_LRN_GAIN,
        ),
        Comparison(
            id="no-effect",
            words="error without normalization minus error with it, no effect as in VGG",
            measure=ERROR,
            first=(NO_LRN,),
            second=(COMMON,),
            band=NONE,
            decides=False,
            paper="no improvement (VGG, table 3, nets A and A-LRN)",
        ),
        Comparison(
            id="memory",
            words="memory of an update with normalization, relative to one without",
            measure=UpdateMegabytes(),
            first=(COMMON,),
            second=(NO_LRN,),
            band=ABOVE_1,
            ratio=True,
            decides=False,
        ),
        Comparison(
            id="time",
            words="time of an update with normalization, relative to one without",
            measure=UpdateSeconds(),
            first=(COMMON,),
            second=(NO_LRN,),
            band=ABOVE_1,
            ratio=True,
            decides=False,
        ),
    ),
    remarks=(
        "Without both normalization layers of the 2012 model, as in net 148 of its source release.",
        "Memory is what is kept for the gradients. On a CPU with a C++ compiler the kernel of a pooled layer "
        "keeps nothing for its normalization and computes it again instead, which costs time only.",
    ),
)

OVERLAP = Claim(
    id="overlap",
    statement="Overlapping pooling makes fewer errors than pooling without overlap, and overfits less.",
    source="paper, section 3.4",
    comparisons=(
        Comparison(
            id="error",
            words="error with 2 x 2 windows minus error with overlapping ones",
            measure=ERROR,
            first=(NOT_OVERLAPPING,),
            second=(COMMON,),
            band=ABOVE_0,
            paper=_gain("overlapping pooling"),
        ),
        Comparison(
            id="average-pooling",
            words="error with LeNet's 2 x 2 average pooling minus error with 2 x 2 max pooling",
            measure=ERROR,
            first=(AVERAGED,),
            second=(NOT_OVERLAPPING,),
            band=ABOVE_0,
            decides=False,
        ),
        Comparison(
            id="overfitting",
            words="overfitting with 2 x 2 windows minus overfitting with overlapping ones",
            measure=Gap(),
            first=(NOT_OVERLAPPING,),
            second=(COMMON,),
            band=ABOVE_0,
            paper="slightly more difficult to overfit",
        ),
    ),
)

DROPOUT_CLAIM = Claim(
    id="dropout",
    statement="Dropout overfits less and needs about twice the iterations; halving at test time is the same "
    "as inverted dropout; it is more than L2 regularization.",
    source="paper, section 4.2; Srivastava et al. 2014, section 9.1",
    comparisons=(
        Comparison(
            id="overfitting",
            words="overfitting without dropout minus overfitting with it",
            measure=Gap(),
            first=(NO_DROPOUT,),
            second=(DROPOUT,),
            band=ABOVE_0,
        ),
        Comparison(
            id="epochs",
            words="epochs with dropout, relative to those without",
            measure=TO_THRESHOLD,
            first=(DROPOUT,),
            second=(NO_DROPOUT,),
            band=ABOVE_1,
            ratio=True,
            paper=f"about {DROPOUT_TIMES_LONGER} times the iterations to converge (section 4.2)",
        ),
        Comparison(
            id="error",
            words="error without dropout minus error with it",
            measure=ERROR,
            first=(NO_DROPOUT,),
            second=(DROPOUT,),
            band=ABOVE_0,
        ),
        Comparison(
            id="weight-decay",
            words="error without dropout at the best of three weight decays minus error with dropout",
            measure=ERROR,
            first=(NO_DROPOUT, *WEIGHT_DECAYS),
            second=(DROPOUT,),
            band=ABOVE_0,
        ),
        Comparison(
            id="inverted-form",
            words="halving at test time and inverted dropout: largest difference of probabilities",
            measure=InvertedDropout(),
            first=(DROPOUT,),
            band=ROUNDING,
        ),
        Comparison(
            id="ridge",
            words="dropout of a linear model and ridge regression: relative difference of weights",
            measure=LinearDropout(),
            first=(DROPOUT,),
            band=EXACT,
        ),
    ),
    remarks=(
        "All models have the full width of 2012 and an eighth of the photos, and are trained 1.5 times as "
        "long as those of other claims, at a learning rate of 0.003: without dropout 0.01 is too much for "
        "the first updates.",
        "Of the weight decays (the paper's 0.0005, 3 and 10 times as much) the one with the lowest mean "
        "error on the validation photos counts, which favors weight decay.",
    ),
)

BIAS_ONE = Claim(
    id="bias-one",
    statement="Initializing biases to 1 speeds up early learning; with a modern initialization of weights it "
    "makes no difference.",
    source="paper, section 5",
    comparisons=(
        Comparison(
            id="early-error",
            words="training error after two epochs with biases of 0 minus that with 1",
            measure=After(2),
            first=(BIAS_0,),
            second=(COMMON,),
            band=ABOVE_0,
        ),
        Comparison(
            id="kaiming-error",
            words="final error with biases of 0 minus that with 1, Kaiming's initialization",
            measure=ERROR,
            first=(KAIMING_0,),
            second=(KAIMING_1,),
            band=SMALL,
        ),
        Comparison(
            id="kaiming-early-error",
            words="training error after two epochs with biases of 0 minus that with 1, Kaiming's "
            "initialization",
            measure=After(2),
            first=(KAIMING_0,),
            second=(KAIMING_1,),
            band=SMALL,
            decides=False,
        ),
    ),
    curve="training_error",
)

SCHEDULES = Claim(
    id="schedules",
    statement="Dividing the learning rate by 10 when the validation error stops falling beats a constant "
    "rate.",
    source="paper, section 5",
    comparisons=(
        Comparison(
            id="plateau-or-constant",
            words="error with a constant rate minus error with the plateau rule",
            measure=ERROR,
            first=(CONSTANT_RATE,),
            second=(PLATEAU,),
            band=ABOVE_0,
        ),
        Comparison(
            id="plateau-or-cosine",
            words="error with the plateau rule minus error with a cosine schedule",
            measure=ERROR,
            first=(PLATEAU,),
            second=(COMMON,),
            band=SMALL,
            decides=False,
        ),
    ),
    remarks=(
        "The plateau rule uses the validation images on which it is then judged, as in the paper.",
        "A patience of 1 in so few epochs, and any number of drops, so that all runs are equally long.",
    ),
)

AUGMENTATION = Claim(
    id="augmentation",
    statement="Random crops and mirroring lower the error, and so does color noise.",
    source="paper, section 4.1",
    comparisons=(
        Comparison(
            id="crops",
            words="error without augmentation minus error with crops and mirroring",
            measure=ERROR,
            first=(NO_AUGMENTATION,),
            second=(CROPS,),
            band=ABOVE_0,
            paper="without it, substantial overfitting",
        ),
        Comparison(
            id="color-noise-of-the-source",
            words="error with crops only minus error with the source's color noise too",
            measure=ERROR,
            first=(CROPS,),
            second=(COMMON,),
            band=ABOVE_0,
            paper=_gain("color noise"),
        ),
        Comparison(
            id="color-noise-of-the-text",
            words="error with crops only minus error with the text's color noise too",
            measure=ERROR,
            first=(CROPS,),
            second=(NOISE_OF_THE_TEXT,),
            band=ABOVE_0,
            paper=_gain("color noise"),
        ),
        Comparison(
            id="overfitting",
            words="overfitting without augmentation minus overfitting with crops and mirroring",
            measure=Gap(),
            first=(NO_AUGMENTATION,),
            second=(CROPS,),
            band=ABOVE_0,
            decides=False,
        ),
    ),
    remarks=(
        "The text scales a color shift by the eigenvalues of the covariance, the source by their square "
        "roots.",
    ),
)

AVERAGING = Claim(
    id="averaging",
    statement="Ten crops beat one, and several models averaged beat one model.",
    source="paper, sections 4.1 and 6, table 2",
    comparisons=(
        Comparison(
            id="ten-crops",
            words="error with the center crop minus error with ten crops",
            measure=ErrorOf("center"),
            first=(COMMON,),
            second=(COMMON,),
            other_measure=ErrorOf("ten"),
            band=ABOVE_0,
            paper=f"{_points(TABLE_1, 'AlexNet', 'center', 'AlexNet', 'ten')} (section 6)",
        ),
        *(
            Comparison(
                id=f"{models}-models",
                words=f"error of one model minus error of {models} averaged",
                measure=EnsembleGain(models),
                first=(COMMON,),
                band=ABOVE_0,
                paper=_FIVE if models == 5 else "",
            )
            for models in (2, 3, 5)
        ),
    ),
    seeds=tuple(range(5)),
    remarks=(
        "Models averaged: mean over all subsets of the seeds, on the same images; the interval is over "
        "images, for these models. With ten crops, or the center crop of models trained without mirroring.",
    ),
)

_LADDERS = {
    (*SHARES, COMMON): ("photos-1-of-8-to-1-of-4", "photos-1-of-4-to-1-of-2", "photos-1-of-2-to-all"),
    (LENET, NARROW, COMMON, WIDE): (
        "lenet-5-to-half-as-wide",
        "half-as-wide-to-common",
        "common-to-twice-as-wide",
    ),
}
MORE_DATA = Claim(
    id="more-data",
    statement="More photos and a larger model lower the error.",
    source="paper, sections 1 and 7",
    comparisons=tuple(
        Comparison(
            id=id_,
            words=f"error of {less.name} minus error of {more.name}",
            measure=ERROR,
            first=(less,),
            second=(more,),
            band=ABOVE_0,
        )
        for ladder, ids in _LADDERS.items()
        for id_, (less, more) in zip(ids, pairwise(ladder), strict=True)
    ),
    remarks=("Fewer photos get the same number of updates. LeNet-5 has its own recipe and the same crops.",),
)

_PUBLISHED_WITHOUT = ("conv3", "conv4", "conv5")
TOWERS_AND_DEPTH = Claim(
    id="towers-and-depth",
    statement="Two towers do as well as one of the same cost, and each middle layer is worth about two "
    "points.",
    source="paper, sections 3.2, 3.5 and 7",
    comparisons=(
        Comparison(
            id="one-tower",
            words="error of one tower minus error of two, equal multiply-adds",
            measure=ERROR,
            first=(ONE_TOWER,),
            second=(COMMON,),
            band=SMALL,
        ),
        *(
            Comparison(
                id=layer,
                words=f"error without {layer} minus error with it",
                measure=ERROR,
                first=(arm,),
                second=(COMMON,),
                band=A_LAYER,
                decides=layer in _PUBLISHED_WITHOUT,
                paper=_gain("each of conv3, conv4, conv5") if layer in _PUBLISHED_WITHOUT else "",
            )
            for layer, arm in WITHOUT.items()
        ),
    ),
    remarks=(
        "The paper compares its two towers with a model half as wide, which costs less (1.7 points).",
        "conv3 is where each tower reads the other: without it they meet in fc6 only. Without conv2 or conv5 "
        "the layer before is pooled instead. conv2 and fc7 are secondary: the paper reports the others.",
    ),
)

FEATURES_TRAVEL = Claim(
    id="features-travel",
    statement="A linear classifier on fc7 features learned from other classes beats the same model trained "
    "from scratch on few photos.",
    source="Donahue et al. 2013, DeCAF",
    comparisons=tuple(
        Comparison(
            id=f"{number}-a-class",
            words=f"{number} photos per class: error from scratch minus error of the features",
            measure=ERROR,
            first=(SCRATCH[number],),
            second=(OTHER,),
            other_measure=FeaturesError(number),
            band=ABOVE_0,
        )
        for number in PER_CLASS
    ),
    remarks=("From scratch: batches of 32, as many updates as the common model.",),
)

CLAIMS = (
    *(RELU_CLAIM, LRN, OVERLAP, DROPOUT_CLAIM, BIAS_ONE, SCHEDULES, AUGMENTATION, AVERAGING, MORE_DATA),
    *(TOWERS_AND_DEPTH, FEATURES_TRAVEL),
)
"""All claims, in the lecture's order."""
ALL = "all"


def find(words: Sequence[str]) -> list[Claim]:
    """The claims with these ids in the lecture's order, all for `all`; CommandError names the nearest id."""
    ids = [claim.id for claim in CLAIMS]
    for word in words:
        if word not in (*ids, ALL):
            raise CommandError(f"no claim {word!r}; {suggestion(word, ids)} (`alexnet claims` lists them)")
    return [claim for claim in CLAIMS if claim.id in words or ALL in words]
