"""What LeNet-5's 84 units F6 should answer to each class: a drawing of 7 x 12 pixels, +1 ink and -1 paper.

Source: LeCun et al. 1998, section II.B and figure 3: a "stylized image of the corresponding character class"
on a 7 x 12 bitmap. The paper prints no numbers; these digits are drawn in the manner of its figure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import CommandError
from alexnet.models.layers import init
from alexnet.models.layers.lenet import PartialConv2d, RadialBasis, ScaledTanh, Subsampling, every

WIDTH, HEIGHT = 7, 12
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
"""The digits 0 to 9, side by side."""


def class_codes(num_classes: int) -> torch.Tensor:
    """(num_classes, 84) float32 of +1 and -1, row by row of each drawing.

    Ten classes have the digits, in the order of their labels, whatever they are. Any other number of classes,
    for which nothing is published, has random codes, always the same: two of them differ in 42 units or so.
    """
    if num_classes == 10:
        return _drawn(DIGITS)
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    bits = torch.randint(0, 2, (num_classes, WIDTH * HEIGHT), generator=generator, device="cpu")
    return 2.0 * bits - 1.0


def _drawn(text: str) -> torch.Tensor:
    rows = [row.split() for row in text.split("\n") if row]
    pixels = [[[1.0 if pixel == "#" else -1.0 for pixel in part] for part in row] for row in rows]
    return torch.tensor(pixels).transpose(0, 1).flatten(1)


H2_READS = tuple(
    tuple(map_ for map_ in range(12) if map_ // 4 != left_out) for left_out in (2, 0, 1) for _ in range(4)
)
"""Maps of H1 that each map of H2 reads: 8 of 12, by a scheme that the paper says it does not describe (1989,
section 3.3). The scheme here: H1 in three groups of four maps, H2 too, and each group of H2 leaves out
another one of H1's, so that all maps are read equally often."""
BACKGROUND = -1.0
"""State of the units beyond the border of a map (1989, section 3.2)."""

C3_READS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
"""Maps of S2 that each map of C3 reads (1998, table I)."""


class LeNet(nn.Module, ABC):
    """What the three share: (N, channels, crop, crop) images -> (N, num_classes) logits, layers by name.

    `crop` is in pixels: a multiple of 4, `smallest_crop` or more; else CommandError. The papers have one
    channel, ten classes and 16 or 32 pixels; other numbers change the first layer, the last one, and the
    first one that reads all maps.
    """

    layer_names: ClassVar[tuple[str, ...]]
    """The names of what `activations` gives, in order."""
    smallest_crop: ClassVar[int]

    def __init__(self, num_classes: int, crop: int, channels: int):
        super().__init__()
        if crop < self.smallest_crop or crop % 4:
            raise CommandError(
                f"crop {crop} is not for this LeNet: use {self.smallest_crop} pixels or more, a multiple of 4"
            )
        self.num_classes, self.crop, self.channels = num_classes, crop, channels

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, channels, crop, crop)."""
        return self.activations(images)["logits"]

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """What each layer of `layer_names` answers, after its squashing function, before any dropout."""
        wanted = f"(N, {self.channels}, {self.crop}, {self.crop})"
        if images.ndim != 4 or images.shape[1:] != (self.channels, self.crop, self.crop):
            raise CommandError(
                f"images are {tuple(images.shape)}, this net was built for {wanted}: "
                "crop them, or build it with another crop or number of channels"
            )
        return self._states(images)

    @abstractmethod
    def _states(self, images: Tensor) -> dict[str, Tensor]: ...


class LeNet1989(LeNet):
    """Two layers of shared kernels that look at every second pixel, 30 hidden units, ten outputs.

    Every unit of H1 and H2 has a bias of its own. A logit is the state of an output unit, within 1.7159: the
    answer k is unit k at 1 and the others at -1, and the loss that goes with it the squared error. The
    softmax of such logits ranks the classes, but is far from sure even where the net is.
    Source: 1989, section 3: 1,256 units, 64,660 connections, 9,760 parameters.
    """

    layer_names = ("H1", "H2", "H3", "logits")
    smallest_crop = 4

    def __init__(self, num_classes: int = 10, crop: int = 16, channels: int = 1):
        super().__init__(num_classes, crop, channels)
        self.squash = ScaledTanh()
        self.H1 = PartialConv2d(channels, every(channels, 12), 5, stride=2, unit_biases=crop // 2)
        self.H2 = PartialConv2d(12, H2_READS, 5, stride=2, unit_biases=crop // 4)
        self.H3 = nn.Linear(12 * (crop // 4) ** 2, 30)
        self.output = nn.Linear(30, num_classes)
        _initialize_by_fan_in(self.H3, self.output)

    def _states(self, images: Tensor) -> dict[str, Tensor]:
        h1 = self.squash(self.H1(_with_border(images)))
        h2 = self.squash(self.H2(_with_border(h1)))
        h3 = self.squash(self.H3(h2.flatten(1)))
        return {"H1": h1, "H2": h2, "H3": h3, "logits": self.squash(self.output(h3))}


class LeNet5(LeNet):
    """Convolutions C1, C3, C5 with trainable sub-sampling S2, S4 between them, 84 units F6, fixed codes.

    A logit is minus the squared distance of F6 from the code of a class (see `class_codes`, also for what
    happens where there are not ten). The loss that goes with them is `rbf`.
    Source: 1998, section II.B: 340,908 connections, 60,000 trainable parameters.
    """

    layer_names = ("C1", "S2", "C3", "S4", "C5", "F6", "logits")
    smallest_crop = 16

    def __init__(self, num_classes: int = 10, crop: int = 32, channels: int = 1):
        super().__init__(num_classes, crop, channels)
        self.squash = ScaledTanh()
        self.C1 = nn.Conv2d(channels, 6, 5)
        self.S2 = Subsampling(6)
        self.C3 = PartialConv2d(6, C3_READS, 5)
        self.S4 = Subsampling(16)
        self.C5 = nn.Conv2d(16, 120, crop // 4 - 3)
        self.F6 = nn.Linear(120, 84)
        self.output = RadialBasis(class_codes(num_classes))
        _initialize_by_fan_in(self.C1, self.C5, self.F6)

    def _states(self, images: Tensor) -> dict[str, Tensor]:
        c1 = self.squash(self.C1(images))
        s2 = self.squash(self.S2(c1))
        c3 = self.squash(self.C3(s2))
        s4 = self.squash(self.S4(c3))
        c5 = self.squash(self.C5(s4)).flatten(1)
        f6 = self.squash(self.F6(c5))
        return {"C1": c1, "S2": s2, "C3": c3, "S4": s4, "C5": c5, "F6": f6, "logits": self.output(f6)}


class ModernLeNet(LeNet):
    """Layers of LeNet-5's sizes, built as one would today.

    ReLU, max pooling, every map of C3 reads all of S2, a linear last layer, dropout before it and before F6,
    He's initialization. C1 pads its input with 2 zeros on all sides, so that 28 pixels give LeNet-5's maps.
    """

    layer_names = LeNet5.layer_names
    smallest_crop = 12

    def __init__(self, num_classes: int = 10, crop: int = 28, channels: int = 1, dropout: float = 0.5):
        super().__init__(num_classes, crop, channels)
        self.C1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.C3 = nn.Conv2d(6, 16, 5)
        self.C5 = nn.Conv2d(16, 120, crop // 4 - 2)
        self.F6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.C1, self.C3, self.C5, self.F6, self.output):
            init.kaiming(layer)

    def _states(self, images: Tensor) -> dict[str, Tensor]:
        c1 = self.C1(images).relu()
        s2 = functional.max_pool2d(c1, 2)
        c3 = self.C3(s2).relu()
        s4 = functional.max_pool2d(c3, 2)
        c5 = self.C5(s4).flatten(1).relu()
        f6 = self.F6(self.dropout(c5)).relu()
        logits = self.output(self.dropout(f6))
        return {"C1": c1, "S2": s2, "C3": c3, "S4": s4, "C5": c5, "F6": f6, "logits": logits}


def _with_border(maps: Tensor) -> Tensor:
    """So that 5 x 5 windows, 2 apart, begin 2 before the map and the last ends 1 after it."""
    return functional.pad(maps, (2, 1, 2, 1), value=BACKGROUND)


def _initialize_by_fan_in(*layers: nn.Conv2d | nn.Linear) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            init.uniform_by_fan_in(parameter, layer.weight[0].numel())
