"""The AlexNets there are: each a set of constants, as run, as the paper has it, as others built it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from alexnet.errors import CommandError
from alexnet.models.named_variants import variant_of


@dataclass(frozen=True)
class Variant:
    """One AlexNet: convolutions, then fc6 and fc7, then fc8, whose width is the number of classes.

    `stages` says what follows each layer but fc8, in order, joined by `+`. The words: `relu` (the
    activation function), `lrn` (across maps), `spatial` (within a map), `pool`, `batchnorm`, `dropout`, and
    `to6x6` (torchvision's adaptive average pooling).
    """

    stages: tuple[str, ...] = ("relu+lrn+pool", "relu+lrn+pool", "relu", "relu", "relu+pool") + 2 * (
        "relu+dropout",
    )
    widths: tuple[int, ...] = (96, 256, 384, 384, 256, 4096, 4096)
    towers: int = 2
    """Groups of conv2, conv4 and conv5; the others and the fully connected layers read both towers."""
    conv1_size: int = 11
    """Pixels across conv1's windows; 5, one pixel apart, suits photos of 32 pixels."""
    conv1_stride: int = 4
    conv1_border: Literal["right-bottom", "around"] = "right-bottom"
    """Zeros until the last window fits (3 pixels at 224, none at 227), or 2 on all sides (torchvision)."""
    pooling: Literal["max", "average"] = "max"
    """What `pool` takes of a window; the average is LeNet's sub-sampling without its weights."""
    pool_size: int = 3
    pool_rounds_up: bool = True
    lrn_k: float = 2.0
    lrn_alpha_convention: Literal["mean", "sum"] = "mean"
    lrn_per_tower: bool = True
    initialisation: Literal["gaussian", "kaiming", "kaiming-with-biases", "torch"] = "gaussian"
    """`kaiming` begins with biases of 0, whatever `biases` say."""
    deviations: tuple[float, ...] = (0.01,) * 8
    """`gaussian`: standard deviation of each layer's first weights."""
    biases: tuple[float, ...] = (0, 1, 0, 1, 1, 1, 1, 0)
    """`gaussian` and `kaiming-with-biases`: each layer's first biases."""
    dropout_form: Literal["mask", "inverted"] = "mask"
    without: tuple[str, ...] = ()
    """Layers that are left out with what follows them: a convolution after the first, or fc7. The lists
    above keep their places."""

    @property
    def least_crop(self) -> int:
        """Pixels that a crop needs, so that something is left after three poolings: 64 with a stride of 4."""
        return 16 * self.conv1_stride

    @property
    def places(self) -> tuple[str, ...]:
        """`conv1` ... `conv5` (or `conv6`), `fc6`, `fc7`, `fc8`: what the lists' entries are of, in order."""
        return (*(f"conv{i}" for i in range(1, len(self.widths) - 1)), "fc6", "fc7", "fc8")

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of `places` that the net has."""
        return tuple(place for place in self.places if place not in self.without)

    @property
    def last_convolution(self) -> str:
        """Whose maps fc6 reads."""
        return self.layers[self.layers.index("fc6") - 1]

    def width(self, layer: str) -> int:
        """Maps or units of a layer other than fc8."""
        return self.widths[self.places.index(layer)]


_NET_145 = Variant(
    stages=("lrn+pool+relu", "relu+lrn+spatial+pool", "relu", "relu", "pool+relu") + 2 * ("relu+dropout",),
    deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
)
_CAFFE_DEVIATIONS = (0.01,) * 5 + (0.005, 0.005, 0.01)

VARIANTS: dict[str, Variant] = {
    # Net 145 of the released source: how it was run. Two normalisers in layer 2; layer 1 rectifies last.
    "2012": _NET_145,
    # Net 146, the "1 CNN*" of table 2: a sixth convolution over the last pooling layer.
    "2012-star": replace(
        _NET_145,
        stages=(*_NET_145.stages[:5], "relu", *_NET_145.stages[5:]),
        widths=(96, 256, 384, 384, 256, 256, 4096, 4096),
        deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
        biases=(0, 1, 0, 1, 1, 1, 1, 1, 0),
    ),
    # The text: every formula and constant of sections 3 to 5 to the letter.
    "paper": Variant(lrn_alpha_convention="sum"),
    # BVLC/caffe models/bvlc_alexnet.
    "caffe": Variant(
        lrn_k=1.0,
        lrn_per_tower=False,
        deviations=_CAFFE_DEVIATIONS,
        biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
        dropout_form="inverted",
    ),
    # BVLC/caffe models/bvlc_reference_caffenet: pools before it normalises.
    "caffenet": Variant(
        stages=("relu+pool+lrn", "relu+pool+lrn", "relu", "relu", "relu+pool") + 2 * ("relu+dropout",),
        lrn_k=1.0,
        lrn_per_tower=False,
        deviations=_CAFFE_DEVIATIONS,
        dropout_form="inverted",
    ),
    # Krizhevsky 2014 (arXiv:1404.5997) as torchvision has it: one tower, no normalisers.
    "one-weird-trick": Variant(
        stages=("relu+pool", "relu+pool", "relu", "relu", "relu+pool+to6x6+dropout", "relu+dropout", "relu"),
        widths=(64, 192, 384, 256, 256, 4096, 4096),
        towers=1,
        conv1_border="around",
        pool_rounds_up=False,
        initialisation="torch",
        dropout_form="inverted",
    ),
    # The same eight layers as one would build them today.
    "modern": Variant(
        stages=(
            *("batchnorm+relu+pool", "batchnorm+relu+pool", "batchnorm+relu", "batchnorm+relu"),
            *("batchnorm+relu+pool", "batchnorm+relu+dropout", "batchnorm+relu+dropout"),
        ),
        towers=1,
        initialisation="kaiming",
        dropout_form="inverted",
    ),
}


def variant_named(text: str) -> Variant:
    """The variant of a name, with fields changed where the name goes on: `modern towers=2 pool_size=2`.

    Errors as `named_variants.variant_of`.
    """
    return variant_of(VARIANTS, text, "alexnet")


def refuse_uneven(variant: Variant) -> None:
    """CommandError where the variant's lists are not of one length each, or a layer is missing."""
    layers = len(variant.widths)
    found = (len(variant.stages), len(variant.deviations), len(variant.biases))
    size, stride = variant.conv1_size, variant.conv1_stride
    if not 1 <= stride <= size <= 8 * stride:
        raise CommandError(
            f"conv1_size={size} conv1_stride={stride}: windows are one stride across at least, eight at most"
        )
    if layers < 3 or found != (layers, layers + 1, layers + 1):
        raise CommandError(
            f"a variant with {layers} widths needs {layers} stages, {layers + 1} deviations and biases, "
            f"not {', '.join(map(str, found))}"
        )
    spare = {*variant.places[1 : layers - 2], "fc7"}
    needed = [layer for layer in variant.without if layer not in spare]
    if needed:
        raise CommandError(
            f"no AlexNet is without {needed[0]!r}: `without` may name {', '.join(sorted(spare))}"
        )
