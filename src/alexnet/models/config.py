"""Which model: the model section of a configuration, and the constants of every named variant.

One frozen dataclass per family holds everything in which its variants differ; a variant is one value of it.
This module does not import torch, so that recipes can be listed and compared without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args

from alexnet.data.config import DataConfig, scaled_input_size
from alexnet.serialization import ConfigError, Range

Family = TypeVar("Family")

BlockStep = Literal["relu", "lrn", "spatial", "pool", "batchnorm", "dropout", "to6x6", "average"]
"""What may follow a layer of an AlexNet: the activation function, response normalization across maps or
within a map, pooling, batch normalization, dropout, torchvision's adaptive average pooling to 6 x 6, and
global average pooling (the last convolution's; Lin, Chen, Yan 2013)."""

_HIDDEN: tuple[tuple[BlockStep, ...], ...] = (("relu", "dropout"), ("relu", "dropout"))
"""What follows fc6 and fc7."""


def _refuse_below_one(key: str, *values: int) -> None:
    if min(values, default=1) < 1:
        raise ConfigError(f"{key} must be at least 1, not {min(values)}")


class _Architecture:
    """What all families have besides their constants."""

    published_classes: ClassVar[int] = 1000
    """Number of classes in the paper."""

    def scaled_input_size(self, side: int, data: DataConfig) -> int:
        """The crop of stored squares of `side` pixels, for a model whose own sizes are those of `data`."""
        return scaled_input_size(side, data)


@dataclass(frozen=True)
class AlexNetArchitecture(_Architecture):
    """An AlexNet: convolutions, then fc6 and fc7, then fc8, whose width is the number of classes."""

    stages: tuple[tuple[BlockStep, ...], ...] = (
        ("relu", "lrn", "pool"),
        ("relu", "lrn", "pool"),
        ("relu",),
        ("relu",),
        ("relu", "pool"),
        *_HIDDEN,
    )
    """What follows each layer but fc8, in order: the activation function (`relu`), response normalization
    across maps (`lrn`) or within a map (`spatial`), `pool`, `batchnorm`, `dropout`, torchvision's adaptive
    pooling to 6 x 6 (`to6x6`), global average pooling (`average`)."""
    widths: tuple[int, ...] = (96, 256, 384, 384, 256, 4096, 4096)
    """Maps of each convolution, then the units of fc6 and fc7."""
    towers: int = 2
    """Groups of conv2, conv4 and conv5; the other layers read both towers."""
    conv1_size: int = 11
    """Side of conv1's filters in pixels; 5, with a stride of 1, suits images of 32 pixels."""
    conv1_stride: int = 4
    """Stride of conv1 in pixels; at most `conv1_size`, at least an eighth of it."""
    conv1_border: Literal["right-bottom", "around"] = "right-bottom"
    """Padding of conv1: zeros at the right and bottom until the last window fits (3 pixels at 224, none at
    227), or 2 on all sides (torchvision)."""
    pooling: Literal["max", "average"] = "max"
    """What `pool` computes in a window; the average is LeNet's sub-sampling without its weights."""
    pool_size: int = 3
    """Side of the pooling windows; the stride is 2."""
    ceil_mode: bool = True
    """Whether pooling rounds the size of its output up, as torch's `ceil_mode` does."""
    lrn_n: int = 5
    """The constant n of response normalization across maps: the maps of a window."""
    lrn_alpha: float = 1e-4
    """The constant alpha of response normalization."""
    lrn_beta: float = 0.75
    """The constant beta, the exponent; with another one, training on a CPU is slower."""
    lrn_k: float = 2.0
    """The constant k, which is added to the squares."""
    lrn_alpha_convention: Literal["mean", "sum"] = "mean"
    """Whether alpha multiplies the mean of the squares in a window (cuda-convnet, Caffe) or their sum (the
    paper's formula)."""
    lrn_per_tower: bool = True
    """Whether the window of response normalization stays within a tower."""
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu"] = "relu"
    """The activation function of the step `relu`."""
    bottleneck: int = 0
    """Units of a linear layer between fc7 and fc8, for very many classes (2,048 in 2012); 0 is none."""
    initialization: Literal["gaussian", "kaiming", "kaiming-with-biases", "kaiming-convolutions", "torch"] = (
        "gaussian"
    )
    """How weights are initialized. `kaiming` sets all biases to 0, whatever `biases` holds;
    `kaiming-convolutions` is `gaussian` for fc6 to fc8, so that the first logits are small."""
    init_std: tuple[float, ...] = (0.01,) * 8
    """`gaussian`, and fc6 to fc8 of `kaiming-convolutions`: standard deviation of a layer's first weights."""
    biases: tuple[float, ...] = (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    """Each layer's initial bias, fc8 included, where `initialization` does not set it."""
    dropout_form: Literal["mask", "inverted"] = "mask"
    """Dropout scales outputs at test time (`mask`, the paper's), or in training (`inverted`, torch's)."""
    without: tuple[str, ...] = ()
    """Layers to leave out, with what follows them: any convolution but the first, fc6 and fc7. The lists
    above keep their length."""

    def __post_init__(self) -> None:
        """ConfigError if the lists do not have one entry per layer, or a value is out of range."""
        layers, entries = len(self.widths), (len(self.stages), len(self.init_std), len(self.biases))
        if layers < 3 or entries != (layers, layers + 1, layers + 1):
            raise ConfigError(
                f"an AlexNet with {layers} widths needs {layers} stages, {layers + 1} init_std and biases, "
                f"not {', '.join(map(str, entries))}"
            )
        size, stride = self.conv1_size, self.conv1_stride
        if not 1 <= stride <= size <= 8 * stride:
            raise ConfigError(
                f"conv1_size={size} conv1_stride={stride}: the filter must be one to eight strides wide"
            )
        unknown = {step for stage in self.stages for step in stage} - {*get_args(BlockStep)}
        if unknown:
            raise ConfigError(f"stages: {min(unknown)!r} must be one of {', '.join(get_args(BlockStep))}")
        optional = {*self.places[1 : layers - 2], "fc6", "fc7"}
        needed = [layer for layer in self.without if layer not in optional]
        if needed:
            raise ConfigError(
                f"an AlexNet needs {needed[0]!r}: `without` may hold {', '.join(sorted(optional))}"
            )
        last = self.last_convolution
        if any("average" in self.steps_after(layer) for layer in self.layers[:-1] if layer != last):
            raise ConfigError(f"stages: 'average' may follow {last} only, the last convolution")
        _refuse_below_one("widths", *self.widths)
        _refuse_below_one("towers", self.towers)
        _refuse_below_one("pool_size", self.pool_size)
        _refuse_below_one("lrn_n", self.lrn_n)
        if self.lrn_alpha < 0 or self.lrn_k <= 0:
            raise ConfigError(
                f"lrn_alpha={self.lrn_alpha} lrn_k={self.lrn_k}: alpha must be at least 0, k above 0"
            )
        if any(width % self.towers for width in self.widths[:-2]):
            raise ConfigError(
                f"widths={list(self.widths)} cannot be split into towers={self.towers}: "
                "each convolution needs a multiple of it"
            )
        if self.bottleneck < 0:
            raise ConfigError(f"bottleneck={self.bottleneck} must be at least 0, which is none")

    @property
    def min_crop(self) -> int:
        """Smallest crop in pixels for which maps remain after three poolings: 64 with a stride of 4."""
        return 16 * self.conv1_stride

    @property
    def places(self) -> tuple[str, ...]:
        """`conv1` ... `conv5` (or `conv6`), `fc6`, `fc7`, `fc8`: the layers that the lists' entries belong
        to.
        """
        return (*(f"conv{i}" for i in range(1, len(self.widths) - 1)), "fc6", "fc7", "fc8")

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of `places` that the model has."""
        return tuple(place for place in self.places if place not in self.without)

    @property
    def last_convolution(self) -> str:
        """The convolution whose maps the first fully connected layer reads."""
        return [layer for layer in self.layers if layer.startswith("conv")][-1]

    def width(self, layer: str) -> int:
        """Maps or units of a layer other than fc8."""
        return self.widths[self.places.index(layer)]

    def steps_after(self, layer: str) -> tuple[BlockStep, ...]:
        """What follows a layer other than fc8."""
        return self.stages[self.places.index(layer)]


_NET_145 = AlexNetArchitecture(
    stages=(
        ("lrn", "pool", "relu"),
        ("relu", "lrn", "spatial", "pool"),
        ("relu",),
        ("relu",),
        ("pool", "relu"),
        *_HIDDEN,
    ),
    init_std=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
)
_CAFFE_STD = (0.01,) * 5 + (0.005, 0.005, 0.01)

ALEXNET_VARIANTS: Mapping[str, AlexNetArchitecture] = {
    # Net 145 of the released source, as it was run: two normalizations in layer 2; in layer 1, ReLU comes
    # last.
    "2012": _NET_145,
    # Net 146, the "1 CNN*" of table 2: a sixth convolution after the last pooling layer.
    "2012-star": replace(
        _NET_145,
        stages=(*_NET_145.stages[:5], ("relu",), *_HIDDEN),
        widths=(96, 256, 384, 384, 256, 256, 4096, 4096),
        init_std=(0.01, 0.01, 0.03, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
        biases=(0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    ),
    # The paper's text: every formula and constant exactly as in sections 3 to 5.
    "paper": AlexNetArchitecture(lrn_alpha_convention="sum"),
    # BVLC/caffe models/bvlc_alexnet.
    "caffe": AlexNetArchitecture(
        lrn_k=1.0,
        lrn_per_tower=False,
        init_std=_CAFFE_STD,
        biases=(0.0, 0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.0),
        dropout_form="inverted",
    ),
    # BVLC/caffe models/bvlc_reference_caffenet: pools before it normalizes.
    "caffenet": AlexNetArchitecture(
        stages=(
            ("relu", "pool", "lrn"),
            ("relu", "pool", "lrn"),
            ("relu",),
            ("relu",),
            ("relu", "pool"),
            *_HIDDEN,
        ),
        lrn_k=1.0,
        lrn_per_tower=False,
        init_std=_CAFFE_STD,
        dropout_form="inverted",
    ),
    # Krizhevsky 2014 (arXiv:1404.5997) as in torchvision: one tower, no normalization.
    "one-weird-trick": AlexNetArchitecture(
        stages=(
            ("relu", "pool"),
            ("relu", "pool"),
            ("relu",),
            ("relu",),
            ("relu", "pool", "to6x6", "dropout"),
            ("relu", "dropout"),
            ("relu",),
        ),
        widths=(64, 192, 384, 256, 256, 4096, 4096),
        towers=1,
        conv1_border="around",
        ceil_mode=False,
        initialization="torch",
        dropout_form="inverted",
    ),
    # The same eight layers, built in the modern way.
    "modern": AlexNetArchitecture(
        stages=(
            ("batchnorm", "relu", "pool"),
            ("batchnorm", "relu", "pool"),
            ("batchnorm", "relu"),
            ("batchnorm", "relu"),
            ("batchnorm", "relu", "pool"),
            ("batchnorm", "relu", "dropout"),
            ("batchnorm", "relu", "dropout"),
        ),
        towers=1,
        initialization="kaiming",
        dropout_form="inverted",
    ),
    # The five convolutions with their two towers, for small images and few of them: batch normalization, and
    # the average of each of conv5's maps in place of fc6 and fc7.
    "small": AlexNetArchitecture(
        stages=(
            ("batchnorm", "relu", "pool"),
            ("batchnorm", "relu", "pool"),
            ("batchnorm", "relu"),
            ("batchnorm", "relu"),
            ("batchnorm", "relu", "average", "dropout"),
            *_HIDDEN,
        ),
        conv1_size=7,
        conv1_stride=2,
        initialization="kaiming",
        dropout_form="inverted",
        without=("fc6", "fc7"),
    ),
}
"""The variants of `alexnet`, by `model.variant`."""

H2_READS = tuple(
    tuple(map_ for map_ in range(12) if map_ // 4 != left_out) for left_out in (2, 0, 1) for _ in range(4)
)
"""Maps of H1 that each map of H2 reads: 8 of 12, by a scheme that the paper does not describe (1989, section
3.3). Here the maps of H1 and of H2 form three groups of four, and each group of H2 leaves out a different
group of H1, so that all maps are read equally often."""

C3_READS = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
"""Maps of S2 that each map of C3 reads (1998, table I)."""


@dataclass(frozen=True)
class LeNetArchitecture(_Architecture):
    """A LeNet: two convolutions with sub-sampling, then fully connected layers."""

    published_classes = 10

    maps: tuple[int, int] = (6, 16)
    """Maps of the first and of the second convolution."""
    reads: tuple[tuple[int, ...], ...] = C3_READS
    """For each map of the second convolution, the maps of the layer before that it reads, counted from 0;
    empty: all of them."""
    units: tuple[int, ...] = (120, 84)
    """Units of each hidden fully connected layer."""

    def __post_init__(self) -> None:
        """ConfigError if `reads` does not fit `maps`, or a value is below 1."""
        _refuse_below_one("maps", *self.maps)
        _refuse_below_one("units", *self.units)
        first, second = self.maps
        if self.reads and len(self.reads) != second:
            raise ConfigError(
                f"reads has {len(self.reads)} entries for {second} maps: type one for each, or [] for all"
            )
        if any(not row or not set(row) <= set(range(first)) for row in self.reads):
            raise ConfigError(
                f"each entry of reads must hold maps between 0 and {first - 1}, and at least one"
            )

    def scaled_input_size(self, side: int, data: DataConfig) -> int:
        """The crop of stored squares of `side` pixels, in the proportion of `data`: a multiple of 4, as all
        LeNets need; of at least 16 pixels, if the square has them.
        """
        whole = 4 * (side // 4)
        scaled = 4 * round(side * data.input_size / data.image_size / 4)
        return data.input_size if side == data.image_size else min(whole, max(16, scaled))


LENET_VARIANTS: Mapping[str, LeNetArchitecture] = {
    # LeCun et al. 1989, section 3: H1, H2, H3.
    "1989": LeNetArchitecture(maps=(12, 12), reads=H2_READS, units=(30,)),
    # LeCun et al. 1998, section II.B: C1, C3, C5, F6.
    "5": LeNetArchitecture(),
    # LeNet-5's sizes; every map of C3 reads all of S2.
    "modern": LeNetArchitecture(reads=()),
}
"""The variants of `lenet`, by `model.variant`."""


@dataclass(frozen=True)
class VGGArchitecture(_Architecture):
    """A VGG: blocks of convolutions with a pooling after each, then fc6, fc7, fc8."""

    blocks: tuple[tuple[int, ...], ...] = ((3,), (3,), (3, 3), (3, 3), (3, 3))
    """The side of the filters of each convolution of each block: 3 or 1 pixels."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 4096, 4096)
    """Maps of each block, then the units of fc6 and fc7."""
    lrn: bool = False
    """Response normalization after the first convolution, with the constants of 2012."""
    batchnorm: bool = False
    """Batch normalization after every convolution, which keeps its bias: torchvision's `vgg11_bn` ..., not
    the paper's."""
    initialization: Literal["gaussian", "glorot", "kaiming", "kaiming-convolutions"] = "gaussian"
    """`gaussian`: the paper's. `glorot`: as the authors found later, needs no pre-trained layers (section
    3.1). `kaiming`: He initialization for all layers; the outputs of the fully connected layers are then so
    large that the first updates may diverge. `kaiming-convolutions`: He initialization for convolutions and
    the paper's for fully connected layers, as in torchvision."""

    def __post_init__(self) -> None:
        """ConfigError if `widths` does not fit `blocks`, or a value is below 1."""
        if len(self.widths) != len(self.blocks) + 2:
            raise ConfigError(
                f"a VGG of {len(self.blocks)} blocks needs {len(self.blocks) + 2} widths: one for each "
                f"block, for fc6 and for fc7, not {len(self.widths)}"
            )
        _refuse_below_one("widths", *self.widths)
        if any(size not in (1, 3) for sizes in self.blocks for size in sizes) or not all(self.blocks):
            raise ConfigError("blocks must hold the filter sizes of each block, 3 or 1, such as [[3],[3,3]]")

    @property
    def convolutions(self) -> dict[str, int]:
        """`conv1_1` ... `conv5_4`, in order, and the side of their filters."""
        return {
            f"conv{block}_{number}": size
            for block, sizes in enumerate(self.blocks, start=1)
            for number, size in enumerate(sizes, start=1)
        }

    def block(self, layer: str) -> int:
        """The block a convolution belongs to, from 0."""
        return int(layer.removeprefix("conv").partition("_")[0]) - 1

    def ends_block(self, layer: str) -> bool:
        """Whether a pooling follows that convolution."""
        return int(layer.partition("_")[2]) == len(self.blocks[self.block(layer)])


VGG_VARIANTS: Mapping[str, VGGArchitecture] = {
    "A": VGGArchitecture(),
    "A-LRN": VGGArchitecture(lrn=True),
    "B": VGGArchitecture(blocks=5 * ((3, 3),)),
    "C": VGGArchitecture(blocks=2 * ((3, 3),) + 3 * ((3, 3, 1),)),
    "D": VGGArchitecture(blocks=2 * ((3, 3),) + 3 * ((3, 3, 3),)),
    "E": VGGArchitecture(blocks=2 * ((3, 3),) + 3 * ((3, 3, 3, 3),)),
}
"""The variants of `vgg`, by `model.variant`. Source: Simonyan and Zisserman 2014, table 1."""


@dataclass(frozen=True)
class OverFeatArchitecture(_Architecture):
    """An OverFeat: convolutions, two fully connected layers, and a last layer with one output per class."""

    widths: tuple[int, ...] = (96, 256, 512, 1024, 1024, 3072, 4096)
    """Maps of each convolution, then the units of both fully connected layers."""
    filters: tuple[int, ...] = (11, 5, 3, 3, 3)
    """Side of each convolution's filters in pixels. Those of 3 pad their maps, the first two do not."""
    conv1_stride: int = 4
    """Stride of conv1 in pixels."""
    pools: tuple[int, ...] = (2, 2, 0, 0, 2)
    """Side and stride of the max pooling after each convolution; 0 is none."""
    initialization: Literal["gaussian", "kaiming"] = "gaussian"
    """Normal weights with standard deviation 0.01, as in the paper; or He initialization, for narrower models
    and smaller crops."""
    regression: tuple[int, ...] = (4096, 1024)
    """`overfeat-localizer`, `overfeat-detector`: units of the hidden layers between pooled maps and boxes
    (section 4.2)."""
    boxes: Literal["per-class", "single"] = "per-class"
    """`overfeat-localizer`, `overfeat-detector`: one box per class (section 4.2), or one for all classes
    (section 4.4)."""
    window: int = 0
    """`overfeat-detector`: pixels of the window that slides over training crops; 0 is the whole crop."""

    def __post_init__(self) -> None:
        """ConfigError if the lists do not fit each other, or a value is out of range."""
        convolutions = len(self.filters)
        if len(self.pools) != convolutions or len(self.widths) != convolutions + 2:
            raise ConfigError(
                f"an OverFeat of {convolutions} convolutions needs as many pools and {convolutions + 2} "
                f"widths, not {len(self.pools)} and {len(self.widths)}"
            )
        _refuse_below_one("widths", *self.widths)
        _refuse_below_one("filters", *self.filters)
        _refuse_below_one("conv1_stride", self.conv1_stride)
        _refuse_below_one("regression", *self.regression)
        if self.window < 0 or min(self.pools) < 0:
            raise ConfigError(f"window={self.window} and pools={list(self.pools)} must be at least 0")

    def scaled_input_size(self, side: int, data: DataConfig) -> int:
        """The crop of stored squares of `side` pixels: 7 and whole steps of 32 more (231 of 256).

        Up to 3 pixels beyond these are ignored. At the size of `data` it is the crop of `data`.
        """
        if side == data.image_size:
            return data.input_size
        read = 32 * ((side - 7) // 32) + 7
        return side if side < max(71, read + 4) else read

    @property
    def layers(self) -> tuple[str, ...]:
        """`conv1` ... `fc8` of the fast model, `conv1` ... `fc9` of the accurate one."""
        convolutions = len(self.filters)
        return tuple(f"{'conv' if i <= convolutions else 'fc'}{i}" for i in range(1, convolutions + 4))


OVERFEAT_VARIANTS: Mapping[str, OverFeatArchitecture] = {
    "fast": OverFeatArchitecture(),
    "accurate": OverFeatArchitecture(
        widths=(96, 256, 512, 512, 1024, 1024, 4096, 4096),
        filters=(7, 7, 3, 3, 3, 3),
        conv1_stride=2,
        pools=(3, 2, 0, 0, 0, 3),
    ),
}
"""The OverFeats, by `model.variant`. Source: Sermanet et al. 2013, tables 1 and 3."""

Architecture = AlexNetArchitecture | LeNetArchitecture | OverFeatArchitecture | VGGArchitecture
ModelName = Literal["alexnet", "lenet", "overfeat", "overfeat-localizer", "overfeat-detector", "vgg"]
VARIANTS: Mapping[str, Mapping[str, Architecture]] = {
    "alexnet": ALEXNET_VARIANTS,
    "lenet": LENET_VARIANTS,
    "overfeat": OVERFEAT_VARIANTS,
    "overfeat-localizer": OVERFEAT_VARIANTS,
    "overfeat-detector": OVERFEAT_VARIANTS,
    "vgg": VGG_VARIANTS,
}
"""The variants of each model, by their names."""


@dataclass(frozen=True)
class ModelConfig:
    """Which model to train; its number of classes comes from the store."""

    name: ModelName = "alexnet"
    """The family of models; OverFeat has one for each of its three tasks."""
    variant: str = "2012"
    """A named member of the family. On the command line it sets all of `model.architecture`."""
    architecture: Architecture = cast(Architecture, None)  # noqa: RUF009
    """The family's constants; by default those of the variant."""
    dropout: Annotated[float, Range(at_least=0, below=1)] = 0.5
    """Probability that a unit of the last two hidden layers is dropped; 0 is off."""
    tower_devices: str = ""
    """Two devices, `cuda:0,cuda:1` or `cpu,cpu`, to train each tower of an AlexNet on its own device; empty:
    both on one device."""

    def __post_init__(self) -> None:
        """ConfigError if there is no such variant, or the architecture is of another family."""
        named = architecture(self.name, self.variant)
        if cast("Architecture | None", self.architecture) is None:
            object.__setattr__(self, "architecture", named)
        elif not isinstance(self.architecture, type(named)):
            raise ConfigError(
                f"model.architecture is a {type(self.architecture).__name__}, "
                f"{self.name} needs a {type(named).__name__}"
            )

    @classmethod
    def types_for(cls, values: Mapping[str, Any]) -> dict[str, type]:
        """The type of `architecture`, which depends on `name`; for `from_dict`."""
        name = values.get("name", "alexnet")
        return {"architecture": family_of(name)} if name in VARIANTS else {}


def family_of(name: str) -> type[Architecture]:
    """The dataclass that holds the constants of a model."""
    return type(next(iter(VARIANTS[name].values())))


def architecture(name: str, variant: str) -> Architecture:
    """The constants of a variant; ConfigError if there is no such model or variant."""
    if name not in VARIANTS:
        raise ConfigError(f"unknown model {name!r}; it must be one of {', '.join(VARIANTS)}")
    return chosen(VARIANTS[name], variant, name)


def chosen(variants: Mapping[str, Family], variant: str | Family, name: str) -> Family:
    """`variant` itself, or the constants of the variant of that name; ConfigError if there is none."""
    if not isinstance(variant, str):
        return variant
    if variant not in variants:
        raise ConfigError(f"unknown variant {variant!r} of {name}; it must be one of {', '.join(variants)}")
    return variants[variant]


def model_description(model: ModelConfig) -> str:
    """`model alexnet, variant 2012`, then each constant that differs from the variant's, as `towers=1`."""
    named = asdict(architecture(model.name, model.variant))
    own = asdict(model.architecture)
    apart = (f"{key}={json.dumps(own[key], separators=(',', ':'))}" for key in own if own[key] != named[key])
    return " ".join((f"model {model.name}, variant {model.variant}", *apart))
