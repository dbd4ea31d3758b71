"""The LeNet of 1989, LeNet-5 of 1998, and a modern one with LeNet-5's sizes.

Sources: LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition", 1989 (cited as 1989),
and LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998 (cited as
1998).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from alexnet.errors import CommandError
from alexnet.models.config import LENET_VARIANTS, LeNetArchitecture
from alexnet.models.layers import init
from alexnet.models.layers.lenet import (
    ConnectionTable,
    PartialConv2d,
    RadialBasis,
    ScaledTanh,
    Subsampling,
    every,
)

WIDTH, HEIGHT = 7, 12
"""Pixels of the drawings that are LeNet-5's target codes."""
RANDOM_SEED = 1998

DIGITS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...#... ..###.. .#####. ....##. ####### ..####. ####### ..###.. ..###..
.##.##. ..##... .##.##. #....## ...#.#. #...... .##.... ......# .#...#. .#...#.
##...## .###... #....## .....## ..##.#. #...... ##..... .....## ##...## ##...##
#.....# ...#... .....## ....##. .##..#. #...... #...... ....##. ##...## #.....#
#.....# ...#... ....##. ..###.. ##...#. ######. #.####. ....#.. .##.##. #....##
#.....# ...#... ...##.. ....##. #....#. .....## ##...## ...##.. ..###.. .######
#.....# ...#... ..##... .....## ####### ......# #.....# ...#... .##.##. ......#
##...## ...#... .##.... ......# .....#. ......# #.....# ..##... ##...## .....##
.##.##. ...#... ##..... #....## .....#. ##...## ##...## ..#.... ##...## ....##.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""
"""LeNet-5's targets for its 84 units F6, one drawing per digit, 0 to 9 side by side: ink is +1, paper -1.

1998, section II.B and figure 3: a "stylized image of the corresponding character class" on a 7 x 12 bitmap.
The paper prints no numbers; these digits are drawn like those in its figure."""


def class_codes(num_classes: int) -> torch.Tensor:
    """(num_classes, 84) float32 of +1 and -1, row by row of each drawing.

    Ten classes, whatever they are, have the codes of the digits, in the order of their labels. For other
    numbers of classes nothing is published: their codes are random, but always the same; two of them differ
    in about 42 units.
    """
    if num_classes == 10:
        return _drawn(DIGITS)
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    bits = torch.randint(0, 2, (num_classes, WIDTH * HEIGHT), generator=generator, device="cpu")
    # On the default device, such as the meta device on which models are counted, as all other weights.
    return torch.empty(bits.shape).copy_(2.0 * bits - 1.0)


def _drawn(text: str) -> torch.Tensor:
    rows = [row.split() for row in text.split("\n") if row]
    pixels = [[[1.0 if pixel == "#" else -1.0 for pixel in part] for part in row] for row in rows]
    return torch.tensor(pixels).transpose(0, 1).flatten(1)


BACKGROUND = -1.0
"""Value of the units beyond the border of a map (1989, section 3.2)."""


class LeNet(nn.Module, ABC):
    """Base class of the three LeNets: (N, channels, crop, crop) images -> (N, num_classes) logits, layers by
    name.

    `crop` is in pixels: a multiple of 4, `smallest_crop` or more; else CommandError. The papers have one
    channel, ten classes and 16 or 32 pixels; other values change the first layer, the last one, and the first
    one that reads all maps. `architecture` has the numbers of maps and units.
    """

    layer_names: ClassVar[tuple[str, ...]]
    """The names of what `activations` returns, in order."""
    smallest_crop: ClassVar[int]
    hidden_layers: ClassVar[int]
    """Fully connected layers before the output."""

    def __init__(self, num_classes: int, crop: int, channels: int, architecture: LeNetArchitecture):
        super().__init__()
        if crop < self.smallest_crop or crop % 4:
            raise CommandError(
                f"crop {crop} does not fit a LeNet: use {self.smallest_crop} pixels or more, a multiple of 4"
            )
        if len(architecture.units) != self.hidden_layers:
            raise CommandError(
                f"this LeNet has {self.hidden_layers} hidden layers, not {len(architecture.units)}: type "
                "model.architecture.units with one number for each"
            )
        self.num_classes, self.crop, self.channels = num_classes, crop, channels

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, channels, crop, crop)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """(N, D): the last hidden layer, for preprocessed images (N, channels, crop, crop)."""
        return self._hidden(self._checked(images))[self.layer_names[-2]]

    @abstractmethod
    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of `forward_features`."""

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The output of each layer of `layer_names`, after its squashing function, before any dropout."""
        hidden = self._hidden(self._checked(images))
        return {**hidden, "logits": self.forward_head(hidden[self.layer_names[-2]])}

    def _checked(self, images: Tensor) -> Tensor:
        wanted = f"(N, {self.channels}, {self.crop}, {self.crop})"
        expected = (self.channels, self.crop, self.crop)
        # torch.fx follows the model without images.
        if not isinstance(images, fx.Proxy) and (images.ndim != 4 or images.shape[1:] != expected):
            raise CommandError(
                f"images are {tuple(images.shape)}, this model was built for {wanted}: "
                "crop them, or build it with another crop or number of channels"
            )
        return images

    @abstractmethod
    def _hidden(self, images: Tensor) -> dict[str, Tensor]:
        """The output of each layer but the last."""


class LeNet1989(LeNet):
    """Two convolutions with a stride of 2, 30 hidden units, ten outputs.

    Every unit of H1 and H2 has its own bias. A logit is the value of an output unit, within 1.7159: the
    target of class k is 1 for unit k and -1 for the others, and the loss is the squared error. The softmax of
    such logits ranks the classes, but is never confident.
    Source: 1989, section 3: 1,256 units, 64,660 connections, 9,760 parameters.
    """

    layer_names = ("H1", "H2", "H3", "logits")
    smallest_crop = 4
    hidden_layers = 1

    def __init__(
        self,
        num_classes: int = 10,
        crop: int = 16,
        channels: int = 1,
        architecture: LeNetArchitecture = LENET_VARIANTS["1989"],
    ):
        super().__init__(num_classes, crop, channels, architecture)
        (h1, h2), (h3,), reads = architecture.maps, architecture.units, _reads(architecture)
        self.squash = ScaledTanh()
        self.H1 = PartialConv2d(channels, every(channels, h1), 5, stride=2, unit_biases=crop // 2)
        self.H2 = PartialConv2d(h1, reads, 5, stride=2, unit_biases=crop // 4)
        self.H3 = nn.Linear(h2 * (crop // 4) ** 2, h3)
        self.output = nn.Linear(h3, num_classes)
        _initialize_by_fan_in(self.H3, self.output)

    def _hidden(self, images: Tensor) -> dict[str, Tensor]:
        h1 = self.squash(self.H1(_with_border(images)))
        h2 = self.squash(self.H2(_with_border(h1)))
        h3 = self.squash(self.H3(h2.flatten(1)))
        return {"H1": h1, "H2": h2, "H3": h3}

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of H3."""
        return self.squash(self.output(features))


class LeNet5(LeNet):
    """Convolutions C1, C3, C5 with trainable sub-sampling S2, S4 between them, 84 units F6, fixed codes.

    A logit is minus the squared distance of F6 from the code of a class (see `class_codes`, also for other
    numbers of classes than ten). The loss is `rbf`.
    Source: 1998, section II.B: 340,908 connections, 60,000 trainable parameters.
    """

    layer_names = ("C1", "S2", "C3", "S4", "C5", "F6", "logits")
    smallest_crop = 16
    hidden_layers = 2

    def __init__(
        self,
        num_classes: int = 10,
        crop: int = 32,
        channels: int = 1,
        architecture: LeNetArchitecture = LENET_VARIANTS["5"],
    ):
        super().__init__(num_classes, crop, channels, architecture)
        (c1, c3), (c5, f6) = architecture.maps, architecture.units
        if f6 != WIDTH * HEIGHT:
            raise CommandError(
                f"F6 of LeNet-5 has {WIDTH * HEIGHT} units, one for each pixel of its codes, not {f6}: "
                f"type model.architecture.units=[{c5},{WIDTH * HEIGHT}]"
            )
        self.squash = ScaledTanh()
        self.C1 = nn.Conv2d(channels, c1, 5)
        self.S2 = Subsampling(c1)
        self.C3 = PartialConv2d(c1, _reads(architecture), 5)
        self.S4 = Subsampling(c3)
        self.C5 = nn.Conv2d(c3, c5, crop // 4 - 3)
        self.F6 = nn.Linear(c5, f6)
        self.output = RadialBasis(class_codes(num_classes))
        _initialize_by_fan_in(self.C1, self.C5, self.F6)

    def _hidden(self, images: Tensor) -> dict[str, Tensor]:
        c1 = self.squash(self.C1(images))
        s2 = self.squash(self.S2(c1))
        c3 = self.squash(self.C3(s2))
        s4 = self.squash(self.S4(c3))
        c5 = self.squash(self.C5(s4)).flatten(1)
        f6 = self.squash(self.F6(c5))
        return {"C1": c1, "S2": s2, "C3": c3, "S4": s4, "C5": c5, "F6": f6}

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of F6: minus its squared distances from the codes."""
        return self.output(features)


class ModernLeNet(LeNet):
    """Layers with LeNet-5's sizes, built in the modern way: ReLU, max pooling, every map of C3 reads all of
    S2, a linear last layer, dropout before it and before F6, He initialization.

    C1 pads its input with 2 zeros on all sides, so that 28 pixels give LeNet-5's maps.
    """

    layer_names = LeNet5.layer_names
    smallest_crop = 12
    hidden_layers = 2

    def __init__(
        self,
        num_classes: int = 10,
        crop: int = 28,
        channels: int = 1,
        architecture: LeNetArchitecture = LENET_VARIANTS["modern"],
        dropout: float = 0.5,
    ):
        super().__init__(num_classes, crop, channels, architecture)
        if architecture.reads:
            raise CommandError(
                "every map of the modern LeNet reads all maps before it: type model.architecture.reads=[]"
            )
        (c1, c3), (c5, f6) = architecture.maps, architecture.units
        self.C1 = nn.Conv2d(channels, c1, 5, padding=2)
        self.C3 = nn.Conv2d(c1, c3, 5)
        self.C5 = nn.Conv2d(c3, c5, crop // 4 - 2)
        self.F6 = nn.Linear(c5, f6)
        self.output = nn.Linear(f6, num_classes)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.C1, self.C3, self.C5, self.F6, self.output):
            init.kaiming(layer)

    def _hidden(self, images: Tensor) -> dict[str, Tensor]:
        c1 = self.C1(images).relu()
        s2 = functional.max_pool2d(c1, 2)
        c3 = self.C3(s2).relu()
        s4 = functional.max_pool2d(c3, 2)
        c5 = self.C5(s4).flatten(1).relu()
        f6 = self.F6(self.dropout(c5)).relu()
        return {"C1": c1, "S2": s2, "C3": c3, "S4": s4, "C5": c5, "F6": f6}

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of F6, after dropout."""
        return self.output(self.dropout(features))


def _reads(architecture: LeNetArchitecture) -> ConnectionTable:
    return architecture.reads or every(*architecture.maps)


def _with_border(maps: Tensor) -> Tensor:
    """Pads maps so that 5 x 5 windows with a stride of 2 start 2 pixels before the map, and the last ends 1
    after it.
    """
    return functional.pad(maps, (2, 1, 2, 1), value=BACKGROUND)


def _initialize_by_fan_in(*layers: nn.Conv2d | nn.Linear) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            init.uniform_by_fan_in(parameter, layer.weight[0].numel())
