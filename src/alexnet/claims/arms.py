"""The ways to train that claims compare; each differs from the common net in what its name says.

A deviation from a paper that all of them share is the size: see `scale`.
"""

from __future__ import annotations

from alexnet.claims.claim import Arm
from alexnet.claims.nets import fields, one_tower, wider, without_layer, without_words

COMMON = Arm("common")
"""The 2012 net at the claims' size: two towers, normalisers, overlapping pooling, dropout, augmentation."""

_UNREGULARISED = (
    *("model.dropout=0", "optimizer.weight_decay=0", "schedule.name=constant"),
    *("data.cropping=centre", "data.mirror=no", "data.color_noise=none"),
)
_LONGER = 1.5


_FOUR_LAYERS = fields(without=("conv3", "conv4", "conv5", "fc7"), biases=(0.0,) * 8)
"""As the paper's figure has it, and as small a net: conv1, conv2, fc6, fc8. No bias pushes units of one kind
to where they learn and units of another to where they do not."""


def _activation(name: str, rate: float) -> Arm:
    settings = (*_UNREGULARISED, f"model.activation={name}", f"optimizer.learning_rate={rate:g}")
    return Arm(f"{name}-rate-{rate:g}", settings, net=_FOUR_LAYERS, longer=_LONGER)


RATES = (0.01, 0.03)
RELU, TANH, SIGMOID = (
    tuple(_activation(name, rate) for rate in RATES) for name in ("relu", "tanh", "sigmoid")
)
"""Without any regularisation (paper, figure 1). Each at two rates, of which the better counts for each seed:
in the paper each net's rate was the one that is fastest for it."""

NO_LRN = Arm("without-normalisers", net=without_words("lrn", "spatial"))
"""Both normalisers of the 2012 net left out, as net 148 of its source release did."""

NOT_OVERLAPPING = Arm("pooling-2-by-2", net=fields(pool_size=2, pool_rounds_up=False))
AVERAGED = Arm("average-pooling", net=fields(pooling="average", pool_size=2, pool_rounds_up=False))
"""Rounded down, so that maps are as large as with overlapping windows; the last, odd pixels are not seen."""

_SLOWER, _LONG = "optimizer.learning_rate=0.003", 3
"""Without dropout twice as many units push the next layer: 0.01 throws the net off in its first updates."""
DROPOUT = Arm("dropout", (_SLOWER,), longer=_LONG)
NO_DROPOUT = Arm("without-dropout", (_SLOWER, "model.dropout=0"), longer=_LONG)
WEIGHT_DECAY = Arm("weight-decay", (_SLOWER, "model.dropout=0", "optimizer.weight_decay=0.005"), longer=_LONG)
"""Ten times the paper's weight decay in place of dropout."""

BIAS_0 = Arm("bias-0", net=fields(biases=(0.0,) * 8))
_TODAY = ("data.normalization=mean-and-std",)
KAIMING_0 = Arm("kaiming-bias-0", _TODAY, net=fields(initialisation="kaiming"))
KAIMING_1 = Arm("kaiming-bias-1", _TODAY, net=fields(initialisation="kaiming-with-biases"))
"""Kaiming's first weights keep a signal's size, and want one of about 1 to begin with."""

PLATEAU = Arm(
    "plateau",
    ("schedule.name=plateau", "schedule.patience_epochs=1", "schedule.max_drops=100"),
)
"""Divided by 10 after each epoch that brings no better validation error: a patience of 1 in a dozen epochs is
what 5 is in 90. It never ends the run, so that all are as long."""
CONSTANT = Arm("constant-rate", ("schedule.name=constant",))

NO_AUGMENTATION = Arm("no-augmentation", ("data.cropping=centre", "data.mirror=no", "data.color_noise=none"))
CROPS = Arm("crops-and-mirroring", ("data.color_noise=none",))
NOISE_OF_THE_TEXT = Arm("colour-noise-of-the-text", ("data.color_noise=paper",))
"""`COMMON` has the colour noise of the source."""

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
