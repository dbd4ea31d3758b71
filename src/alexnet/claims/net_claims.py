"""The claims that ask more of trained nets than what their logs say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from alexnet.claims import arms
from alexnet.claims.averaging import EnsembleGain, ErrorOf
from alexnet.claims.claim import ABOVE_0, ABOVE_1, Band, Claim, Comparison
from alexnet.claims.equivalence import InvertedDropout, LinearDropout
from alexnet.claims.measure import EpochsTo, Gap, Last
from alexnet.claims.travel import FeaturesError
from alexnet.claims.update_cost import PeakMegabytes, UpdateSeconds
from alexnet.published import DROPOUT_TIMES_LONGER, GAINS, RELU_TRAINING_ERROR, TABLE_1, TABLE_2
from alexnet.published.rows import Row

ERROR = Last()
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
    "Local response normalisation lowers the error.",
    "paper, section 3.3; Simonyan and Zisserman 2014, section 4.1, found no effect",
    (
        Comparison(
            "error without normalisers, less that with them",
            *(ERROR, (arms.NO_LRN,), ABOVE_0, (arms.COMMON,)),
            paper=f"{100 * _LRN.top1:g} points ({_LRN.source})",
        ),
        Comparison(
            "VGG's authors: error without normalisers is that with them",
            *(ERROR, (arms.NO_LRN,), NONE, (arms.COMMON,)),
            decides=False,
            paper="no improvement (VGG, table 3, nets A and A-LRN)",
        ),
        Comparison(
            "it costs memory: an update's with normalisers, over one without",
            *(PeakMegabytes(), (arms.COMMON,), ABOVE_1, (arms.NO_LRN,)),
            ratio=True,
            decides=False,
        ),
        Comparison(
            "it costs time: an update's with normalisers, over one without",
            *(UpdateSeconds(), (arms.COMMON,), ABOVE_1, (arms.NO_LRN,)),
            ratio=True,
            decides=False,
        ),
    ),
    remarks=(
        "Without both normalisers of the 2012 net, as in net 148 of its source release.",
        "Memory is what is kept for the gradients. On a CPU with a C++ compiler the kernel of a pooled layer "
        "keeps nothing for its normaliser and computes it again instead, which costs time alone.",
    ),
)

DROPOUT = Claim(
    "dropout",
    "Dropout overfits less and needs about twice the iterations; halving at test is the inverted form; "
    "it is more than L2 regularisation.",
    "paper, section 4.2; Srivastava et al. 2014, section 9.1",
    (
        Comparison(
            "overfitting without dropout, less that with it",
            *(Gap(), (arms.NO_DROPOUT,), ABOVE_0, (arms.DROPOUT,)),
        ),
        Comparison(
            "epochs with dropout, over those without",
            *(EpochsTo(RELU_TRAINING_ERROR), (arms.DROPOUT,), ABOVE_1, (arms.NO_DROPOUT,)),
            ratio=True,
            paper=f"about {DROPOUT_TIMES_LONGER} times the iterations to converge (section 4.2)",
        ),
        Comparison(
            "error without dropout, less that with it",
            *(ERROR, (arms.NO_DROPOUT,), ABOVE_0, (arms.DROPOUT,)),
        ),
        Comparison(
            "error with ten times the weight decay instead, less that with dropout",
            *(ERROR, (arms.WEIGHT_DECAY,), ABOVE_0, (arms.DROPOUT,)),
            decides=False,
        ),
        Comparison(
            "half of each unit in the test is the inverted form: probabilities apart, at most",
            *(InvertedDropout(), (arms.DROPOUT,), ROUNDING),
        ),
        Comparison(
            "of a linear model dropout is a ridge: weights apart, at most",
            *(LinearDropout(), (arms.DROPOUT,), EXACT),
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
            *(ErrorOf("centre"), (arms.COMMON,), ABOVE_0, (arms.COMMON,)),
            other_measure=ErrorOf("ten"),
            paper=f"{_points(TABLE_1, 'AlexNet', 'centre', 'AlexNet', 'ten')} (section 6)",
        ),
        *(
            Comparison(
                f"error of a net alone, less that of {nets} averaged",
                *(EnsembleGain(nets), (arms.COMMON,), ABOVE_0),
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

_LADDER = (arms.LENET, arms.NARROW, arms.COMMON, arms.WIDE)
_AMOUNTS = (*arms.SHARES, arms.COMMON)
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
            *(ERROR, (arms.SCRATCH[number],), ABOVE_0, (arms.OTHER,)),
            other_measure=FeaturesError(number),
        )
        for number in arms.PER_CLASS
    ),
    remarks=("From scratch: batches of 32, as many updates as the common net.",),
)
