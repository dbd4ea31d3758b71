"""The claims that nets' logs decide, as data: what is said, by whom, what is compared, what would be held."""

from __future__ import annotations

from alexnet.claims import arms
from alexnet.claims.claim import ABOVE_0, Band, Claim, Comparison
from alexnet.claims.measure import After, EpochsTo, Gap, Last
from alexnet.published import GAINS, RELU_TIMES_FASTER, RELU_TRAINING_ERROR

_GAINS = {gain.ingredient: gain for gain in GAINS}
TO_THRESHOLD = EpochsTo(RELU_TRAINING_ERROR)
SMALL = Band(-0.02, 0.02)
"""What "no difference" is at this size: two points of error either way."""
ERROR = Last()


def _points(ingredient: str) -> str:
    gain = _GAINS[ingredient]
    return f"{100 * gain.top1:g} points ({gain.source})"


RELU = Claim(
    "relu",
    "A net of rectified linear units learns faster than one of tanh or sigmoid units.",
    "paper, section 3.1 and figure 1",
    (
        Comparison(
            "epochs that tanh needs, less those of ReLU",
            *(TO_THRESHOLD, arms.TANH, ABOVE_0, arms.RELU),
            paper=f"{RELU_TIMES_FASTER} times as many (figure 1)",
        ),
        Comparison(
            "epochs that the sigmoid needs, less those of ReLU",
            *(TO_THRESHOLD, arms.SIGMOID, ABOVE_0, arms.RELU),
        ),
    ),
    curve="training_error",
    remarks=(
        f"Compared are {TO_THRESHOLD.words}, as in the paper's figure.",
        "Four layers that learn, as in the paper's figure: conv1, conv2, fc6 and fc8 of the common net.",
        "No regularisation of any kind, as there; a constant rate; biases begin at 0.",
    ),
)

OVERLAP = Claim(
    "overlap",
    "Pooling with overlapping windows makes fewer errors than without, and overfits less.",
    "paper, section 3.4",
    (
        Comparison(
            "error of 2 x 2 windows, less that of overlapping ones",
            *(ERROR, (arms.NOT_OVERLAPPING,), ABOVE_0, (arms.COMMON,)),
            paper=_points("overlapping pooling"),
        ),
        Comparison(
            "error of LeNet's average of 2 x 2, less that of the largest of 2 x 2",
            *(ERROR, (arms.AVERAGED,), ABOVE_0, (arms.NOT_OVERLAPPING,)),
        ),
        Comparison(
            "overfitting of 2 x 2 windows, less that of overlapping ones",
            *(Gap(), (arms.NOT_OVERLAPPING,), ABOVE_0, (arms.COMMON,)),
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
            *(After(2), (arms.BIAS_0,), ABOVE_0, (arms.COMMON,)),
        ),
        Comparison(
            "error in the end with biases of 0, less that with 1, both with Kaiming's first weights",
            *(ERROR, (arms.KAIMING_0,), SMALL, (arms.KAIMING_1,)),
        ),
        Comparison(
            "training error after two epochs with biases of 0, less that with 1, Kaiming's first weights",
            *(After(2), (arms.KAIMING_0,), SMALL, (arms.KAIMING_1,)),
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
            *(ERROR, (arms.CONSTANT,), ABOVE_0, (arms.PLATEAU,)),
        ),
        Comparison(
            "error of the plateau rule, less that of a cosine",
            *(ERROR, (arms.PLATEAU,), SMALL, (arms.COMMON,)),
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
    "Random crops and mirroring lower the error, and so does colour noise.",
    "paper, section 4.1",
    (
        Comparison(
            "error without, less that with crops and mirroring",
            *(ERROR, (arms.NO_AUGMENTATION,), ABOVE_0, (arms.CROPS,)),
            paper="without it the nets overfit substantially",
        ),
        Comparison(
            "error with crops alone, less that with the source's colour noise too",
            *(ERROR, (arms.CROPS,), ABOVE_0, (arms.COMMON,)),
            paper=_points("colour noise"),
        ),
        Comparison(
            "error with crops alone, less that with the text's colour noise too",
            *(ERROR, (arms.CROPS,), ABOVE_0, (arms.NOISE_OF_THE_TEXT,)),
            paper=_points("colour noise"),
        ),
        Comparison(
            "overfitting without, less that with crops and mirroring",
            *(Gap(), (arms.NO_AUGMENTATION,), ABOVE_0, (arms.CROPS,)),
            decides=False,
        ),
    ),
    remarks=(
        "The text scales a colour shift by the eigenvalues of the covariance, the source by their roots.",
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
            *(ERROR, (arms.ONE_TOWER,), SMALL, (arms.COMMON,)),
        ),
        *(
            Comparison(
                f"error without {layer}, less that with it",
                *(ERROR, (arm,), Band(0.01, 0.04), (arms.COMMON,)),
                decides=layer in _PUBLISHED_WITHOUT,
                paper=_points("each of conv3, conv4, conv5") if layer in _PUBLISHED_WITHOUT else "",
            )
            for layer, arm in arms.WITHOUT.items()
        ),
    ),
    remarks=(
        "The paper measures its two towers against a net half as wide, which costs less (1.7 points).",
        "conv3 is where the towers read each other: without it they meet in fc6 only. Without conv2 or conv5 "
        "the one before is pooled as they were. conv2 and fc7 are beside: the published gains are of others.",
    ),
)
