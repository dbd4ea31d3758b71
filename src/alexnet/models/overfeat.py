"""OverFeat: the fast and the accurate net, and what they say at every place of a larger image.

Source: Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun, "OverFeat: Integrated Recognition, Localization and
Detection using Convolutional Networks", ICLR 2014 (arXiv:1312.6229), tables 1 and 3, sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.data.boxes import WHOLE, Corners
from alexnet.errors import CommandError
from alexnet.models.layers import init
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.pooling import at_every_offset
from alexnet.models.variants import variant_of

MINIMUM_CROP_PIXELS = 64
UNPADDED_CROP_PIXELS = 112
"""Below it conv2 pads its maps, which would otherwise be smaller than what follows reads. Ours: the paper's
crops are 231 and 221 pixels."""
DEVIATION = 0.01
"""Of the first weights (section 3.2)."""


@dataclass(frozen=True)
class Variant:
    """Convolutions and two fully connected layers; the last layer's width is the number of classes."""

    widths: tuple[int, ...] = (96, 256, 512, 1024, 1024, 3072, 4096)
    """Maps of each convolution, then the units of both fully connected layers."""
    filters: tuple[int, ...] = (11, 5, 3, 3, 3)
    """Side of each convolution's filters. Those of 3 pad their maps, the first two do not."""
    conv1_stride: int = 4
    pools: tuple[int, ...] = (2, 2, 0, 0, 2)
    """Side and step of the max pooling after each convolution; 0 is none."""
    initialization: Literal["gaussian", "kaiming"] = "gaussian"
    """Normal weights of deviation 0.01, as in the paper; or He's, for narrower nets and smaller crops."""
    regression: tuple[int, ...] = (4096, 1024)
    """`overfeat-localizer`: units of the hidden layers between pooled maps and boxes (section 4.2)."""
    window: int = 0
    """`overfeat-detector`: pixels of the window that slides over training crops; 0 is the whole crop."""
    boxes: Literal["per-class", "single"] = "per-class"
    """`overfeat-localizer`: a box for each class (section 4.2), or one for all classes (section 4.4)."""

    @property
    def layers(self) -> tuple[str, ...]:
        """`conv1` ... `fc8` of the fast net, `conv1` ... `fc9` of the accurate one."""
        convolutions = len(self.filters)
        return tuple(f"{'conv' if i <= convolutions else 'fc'}{i}" for i in range(1, convolutions + 4))


VARIANTS = {
    "fast": Variant(),
    "accurate": Variant(
        widths=(96, 256, 512, 512, 1024, 1024, 4096, 4096),
        filters=(7, 7, 3, 3, 3, 3),
        conv1_stride=2,
        pools=(3, 2, 0, 0, 0, 3),
    ),
}
"""Tables 1 and 3."""


class OverFeat(nn.Module):
    """(N, 3, crop, crop) images -> (N, num_classes) logits; its layers are `Variant.layers`.

    ReLU, max pooling without overlap, no contrast normalization (section 3.2). `variant` is a `Variant` or a
    name, `fast` or `accurate`, with fields changed behind it (see `variant_of`); `crop` is in pixels, 64 or
    more; `dropout` is the probability that a unit of the two fully connected layers is silent.
    """

    map_reduction: ClassVar[Literal["mean", "max"]] = "max"
    """How a class map becomes one prediction: the largest of each class (section 3.3)."""

    def __init__(
        self,
        variant: str | Variant = "fast",
        num_classes: int = 1000,
        crop: int = 231,
        dropout: float = 0.5,
    ):
        super().__init__()
        if crop < MINIMUM_CROP_PIXELS:
            raise CommandError(
                f"crop {crop} is too small for OverFeat: use {MINIMUM_CROP_PIXELS} pixels or more"
            )
        self.variant = variant_of(VARIANTS, variant, "overfeat") if isinstance(variant, str) else variant
        _refuse_uneven(self.variant)
        self.num_classes, self.crop, self.dropout = num_classes, crop, dropout
        self.layers = self.variant.layers
        self.convolutions = self.layers[: len(self.variant.filters)]
        self.classifier = self.layers[len(self.variant.filters) :]
        self._add_layers()
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` gives, in order."""
        pools = dict(zip(self.convolutions, self.variant.pools, strict=True))
        taps = [[layer, f"pool{layer[-1]}"] if pools.get(layer) else [layer] for layer in self.layers[:-1]]
        return (*(name for pair in taps for name in pair), "logits")

    @property
    def map_step_pixels(self) -> int:
        """Pixels of the image from one place of a class map to the next: 16 (fast) or 12 (accurate)."""
        return self.variant.conv1_stride * math.prod(pool or 1 for pool in self.variant.pools[:-1])

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, 3, crop, crop)."""
        hidden = self.features(self._checked(images)).flatten(1)
        for layer in self.classifier[:-1]:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return self.get_submodule(self.classifier[-1])(hidden)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, h, w) maps after the last pooling, of images (N, 3, H, W)."""
        hidden = images
        for layer in self.convolutions:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return hidden

    def class_map(self, images: Tensor) -> Tensor:
        """(N, num_classes, h, w) logits of windows of `crop` pixels, `map_step_pixels` apart.

        `images` are preprocessed, (N, 3, H, W) with H and W of `crop` pixels or more. The window at place (i,
        j) begins i and j steps below and right of the image's corner. Its answer is that of `forward` to the
        window, but for what convolutions that pad their maps see around it: the photo there, zeros in a crop.
        At H = W = crop it is (N, num_classes, 1, 1) and `forward` itself. Source: section 3.3.
        """
        return self._slid(self._unpooled(images), self._classify, self.places(*images.shape[2:]))

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the class map of an image of that many pixels: all windows that lie in it."""
        rows, columns = ((length - self.crop) // self.map_step_pixels + 1 for length in (height, width))
        return rows, columns

    def windows(self, height: int, width: int) -> Corners:
        """(rows x columns, 4) the windows of an image's `places`, row by row, in shares of the image."""
        rows, columns = self.places(height, width)
        step = self.map_step_pixels
        y, x = np.meshgrid(step * np.arange(rows), step * np.arange(columns), indexing="ij")
        first = np.stack([x.ravel(), y.ravel()], axis=1)
        corners = np.concatenate([first, first + self.crop], axis=1)
        return corners / np.array([width, height, width, height])

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """What each layer of `layer_names` answers to preprocessed images (N, 3, crop, crop).

        `convN` and `fcN`: rectified, before anything else, in particular before the test's dropout scaling.
        `poolN`: the maps the next layer reads.
        """
        hidden, taps = self._checked(images), dict[str, Tensor]()
        for layer, stage in self.after.items():
            hidden = hidden if layer in self.convolutions else hidden.flatten(1)
            hidden = taps[layer] = self.get_submodule(layer)(hidden).relu()
            steps = dict(stage.named_children())
            if "pool" in steps:
                hidden = taps[f"pool{layer[-1]}"] = steps["pool"](hidden)
            if "dropout" in steps:
                hidden = steps["dropout"](hidden)
        return {**taps, "logits": self.get_submodule(self.layers[-1])(hidden)}

    def initialize(self) -> None:
        """Fills every layer anew; biases are 0, of which the paper says nothing."""
        for name in self.layers:
            self._initialize_layer(name)

    def _initialize_layer(self, name: str) -> None:
        layer = cast(init.Weighted, self.get_submodule(name))
        if self.variant.initialization == "kaiming":
            init.kaiming(layer)
        else:
            init.gaussian(layer, DEVIATION, 0.0)

    def _add_layers(self) -> None:
        variant, inputs = self.variant, 3
        for number, (layer, size, width) in enumerate(
            zip(self.convolutions, variant.filters, variant.widths, strict=False)
        ):
            stride = variant.conv1_stride if number == 0 else 1
            self.add_module(layer, nn.Conv2d(inputs, width, size, stride, self._padding(number)))
            inputs = width
        inputs *= self._read_side() ** 2
        units = (*variant.widths[len(variant.filters) :], self.num_classes)
        for layer, width in zip(self.classifier, units, strict=True):
            self.add_module(layer, FullyConnected(inputs, width))
            inputs = width

    def _padding(self, number: int) -> int:
        size = self.variant.filters[number]
        padded = size == 3 or (number == 1 and self.crop < UNPADDED_CROP_PIXELS)
        return size // 2 if padded else 0

    def _stage(self, layer: str) -> FusedBlock:
        """What follows `layer` as modules."""
        steps: OrderedDict[str, nn.Module] = OrderedDict(relu=nn.ReLU(inplace=True))
        if layer in self.classifier:
            steps["dropout"] = MaskDropout(self.dropout)
        elif pool := self.variant.pools[self.convolutions.index(layer)]:
            steps["pool"] = nn.MaxPool2d(pool, stride=pool)
        return FusedBlock(steps)

    def _unpooled_side(self, pixels: int) -> int:
        """Values across the last convolution's maps of an image of `pixels` across."""
        variant, side = self.variant, pixels
        for number, (size, pool) in enumerate(zip(variant.filters, variant.pools, strict=True)):
            stride = variant.conv1_stride if number == 0 else 1
            side = 1 + (side + 2 * self._padding(number) - size) // stride
            is_last = number + 1 == len(variant.filters)
            side = side if is_last else side // (pool or 1)
        return side

    def _read_side(self) -> int:
        """Values across the pooled maps that the first fully connected layer reads."""
        return self._unpooled_side(self.crop) // (self.variant.pools[-1] or 1)

    def _unpooled(self, images: Tensor) -> Tensor:
        """The last convolution's maps, rectified, of images of at least the crop."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.crop:
            raise CommandError(
                f"images are {tuple(images.shape)}, a class map wants (N, 3, H, W) with "
                f"H and W of {self.crop} pixels or more"
            )
        *before, last = self.convolutions
        hidden = images.contiguous(memory_format=torch.channels_last)
        for layer in before:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return self.get_submodule(last)(hidden).relu()

    def _slid(self, maps: Tensor, answer: Callable[[Tensor], Tensor], places: tuple[int, int]) -> Tensor:
        """`answer`, of pooled maps, at each of the places of the unpooled `maps`."""
        return at_every_offset(answer, maps, self.variant.pools[-1] or 1, self._read_side(), places)

    def _classify(self, pooled: Tensor) -> Tensor:
        """(N, num_classes, h, w) logits of pooled maps."""
        hidden = pooled
        for layer in self.classifier:
            side = self._read_side() if layer == self.classifier[0] else 1
            hidden = slide(cast(nn.Linear, self.get_submodule(layer)), hidden, side)
            hidden = self.after[layer](hidden) if layer in self.after else hidden
        return hidden

    def _checked(self, images: Tensor) -> Tensor:
        """`images`, channels-last; CommandError where they are not a batch of this net's crop."""
        if images.ndim != 4 or images.shape[1:] != (3, self.crop, self.crop):
            raise CommandError(
                f"images are {tuple(images.shape)}, this net was built for (N, 3, {self.crop}, {self.crop}): "
                f"crop them, or build it with another crop ({MINIMUM_CROP_PIXELS} pixels or more)"
            )
        return images.contiguous(memory_format=torch.channels_last)


def _refuse_uneven(variant: Variant) -> None:
    convolutions = len(variant.filters)
    if len(variant.pools) != convolutions or len(variant.widths) != convolutions + 2:
        raise CommandError(
            f"a variant of {convolutions} convolutions needs as many pools and {convolutions + 2} widths, "
            f"not {len(variant.pools)} and {len(variant.widths)}"
        )


class OverFeatLocalizer(OverFeat):
    """An OverFeat whose layers do not learn, and a regression from its last pooled maps to boxes, which does.

    `forward` gives the classifier's logits, so that whatever tests a net can test this one. A box is x0, y0,
    x1, y1 in shares of the window that was looked at, below 0 and above 1 outside of it. Hidden layers are
    rectified, without dropout; the first answer is the whole window.
    """

    def forward_boxes(self, images: Tensor) -> Tensor:
        """(N, num_classes, 4) boxes in shares of each of the preprocessed images (N, 3, crop, crop)."""
        with torch.no_grad():
            hidden = self.features(self._checked(images)).flatten(1)
        for layer in self.regression[:-1]:
            hidden = self.get_submodule(layer)(hidden).relu()
        return self._per_class(self.get_submodule(self.regression[-1])(hidden))

    def class_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`class_map` and (N, num_classes, 4, h, w) the boxes, each in shares of the window at its place.

        `images` are preprocessed, (N, 3, H, W) with H and W of `crop` pixels or more. Source: section 4.1.
        """
        maps, places = self._unpooled(images), self.places(*images.shape[2:])
        boxes = self._slid(maps, self._regress, places)
        return self._slid(maps, self._classify, places), self._per_class(boxes)

    @property
    def regression(self) -> tuple[str, ...]:
        """`box1`, `box2` and `boxes`."""
        return (*(f"box{i}" for i in range(1, len(self.variant.regression) + 1)), "boxes")

    def initialize(self) -> None:
        """Fills every layer anew, and lets the regression alone learn."""
        super().initialize()
        for layer in self.regression:
            self._initialize_layer(layer)
        nn.init.zeros_(self._layer("boxes").weight)
        with torch.no_grad():
            bias = self._layer("boxes").bias
            bias.copy_(torch.tensor(WHOLE).repeat(len(bias) // 4))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] in self.regression)

    def _add_layers(self) -> None:
        """The regression stands before the classifier: the last layer of any net gives its logits."""
        super()._add_layers()
        classifier = {layer: self._modules.pop(layer) for layer in self.classifier}
        inputs = cast(FullyConnected, classifier[self.classifier[0]]).in_features
        boxes = self.num_classes if self.variant.boxes == "per-class" else 1
        for layer, width in zip(self.regression, (*self.variant.regression, 4 * boxes), strict=True):
            self.add_module(layer, FullyConnected(inputs, width))
            inputs = width
        self._modules.update(classifier)

    def _regress(self, pooled: Tensor) -> Tensor:
        """(N, boxes x 4, h, w) of pooled maps."""
        hidden = slide(self._layer(self.regression[0]), pooled, self._read_side())
        for layer in self.regression[1:]:
            hidden = slide(self._layer(layer), hidden.relu(), 1)
        return hidden

    def _per_class(self, numbers: Tensor) -> Tensor:
        """(N, boxes x 4, ...) as (N, num_classes, 4, ...)."""
        boxes = numbers.unflatten(1, (-1, 4))
        return boxes.expand(-1, self.num_classes, *boxes.shape[2:])

    def _layer(self, name: str) -> nn.Linear:
        return cast(nn.Linear, self.get_submodule(name))


class OverFeatDetector(OverFeatLocalizer):
    """A localizer with one more unit, of background, behind its last hidden layer. All of it learns.

    It takes images (N, 3, crop, crop) and slides a window of `Variant.window` pixels over them, which
    is what its weights are made for; 0 is the crop itself.
    """

    def __init__(
        self,
        variant: str | Variant = "fast",
        num_classes: int = 1000,
        crop: int = 231,
        dropout: float = 0.5,
    ):
        chosen = variant_of(VARIANTS, variant, "overfeat") if isinstance(variant, str) else variant
        if chosen.window > crop:
            raise CommandError(
                f"a window of {chosen.window} pixels does not fit into crops of {crop}: type data.input_size="
                f"{chosen.window} or more, or a smaller window"
            )
        super().__init__(chosen, num_classes, chosen.window or crop, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """(N, num_classes) logits of images (N, 3, H, W): of each class the largest of all places."""
        return self.class_map(images).amax(dim=(2, 3))

    def object_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the windows of images (N, 3, H, W) show, and where: places are those of `class_map`.

        (N, num_classes + 1, h, w) logits, the last of background, and (N, num_classes, 4, h, w) boxes, each
        in shares of the window there.
        """
        maps, places = self._unpooled(images), self.places(*images.shape[2:])
        boxes = self._slid(maps, self._regress, places)
        return self._slid(maps, self._classify_objects, places), self._per_class(boxes)

    def initialize(self) -> None:
        """Fills every layer anew, and lets all of them learn."""
        super().initialize()
        self._initialize_layer("background")
        self.requires_grad_(True)

    def _checked(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (self.crop, self.crop):
            raise CommandError(
                f"this net looks through windows of {self.crop} pixels and has no features of a whole photo: "
                "give the localization that it began with"
            )
        return super()._checked(images)

    def _add_layers(self) -> None:
        """The background stands before the classifier: the last layer of any net gives its logits."""
        super()._add_layers()
        classifier = {layer: self._modules.pop(layer) for layer in self.classifier}
        self.background = FullyConnected(self.variant.widths[-1], 1)
        self._modules.update(classifier)

    def _classify_objects(self, pooled: Tensor) -> Tensor:
        """(N, num_classes + 1, h, w) logits of pooled maps, the last of background."""
        hidden = pooled
        for layer in self.classifier[:-1]:
            side = self._read_side() if layer == self.classifier[0] else 1
            hidden = self.after[layer](slide(self._layer(layer), hidden, side))
        return torch.cat([slide(self._layer(name), hidden, 1) for name in (self.layers[-1], "background")], 1)
