"""OverFeat: the fast and the accurate model, and their predictions at every position of a larger image.

Source: Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun, "OverFeat: Integrated Recognition, Localization and
Detection using Convolutional Networks", ICLR 2014 (arXiv:1312.6229), tables 1 and 3, sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, fx, nn

from alexnet.data.boxes import WHOLE, Corners
from alexnet.errors import CommandError
from alexnet.models.config import OVERFEAT_VARIANTS, OverFeatArchitecture, chosen
from alexnet.models.layers import init
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.pooling import at_every_offset

MINIMUM_CROP_PIXELS = 64
UNPADDED_CROP_PIXELS = 112
"""Below this crop conv2 pads its maps, which would otherwise be too small for the layers that follow. Ours:
the paper's crops are 231 and 221 pixels."""
INIT_STD = 0.01
"""Standard deviation of the initial weights (section 3.2)."""


class OverFeat(nn.Module):
    """(N, 3, crop, crop) images -> (N, num_classes) logits.

    ReLU, max pooling without overlap, no contrast normalization (section 3.2). `variant` is `fast`,
    `accurate` or an `OverFeatArchitecture`. `crop` is in pixels, 64 or more. `dropout` is the probability
    that a unit of the two fully connected layers is dropped.

    CommandError if there is no such variant, or the crop is too small.
    """

    map_reduction: ClassVar[Literal["mean", "max"]] = "max"
    """How a class map is reduced to one prediction: the maximum of each class (section 3.3)."""
    crop_setting: ClassVar[str] = "data.input_size"
    """Which setting `crop` is."""

    def __init__(
        self,
        variant: str | OverFeatArchitecture = "fast",
        num_classes: int = 1000,
        crop: int = 231,
        dropout: float = 0.5,
    ):
        super().__init__()
        if crop < MINIMUM_CROP_PIXELS:
            raise CommandError(
                f"crop {crop} is too small for OverFeat: use {MINIMUM_CROP_PIXELS} pixels or more"
            )
        self.architecture = chosen(OVERFEAT_VARIANTS, variant, "overfeat")
        self.num_classes, self.crop, self.dropout = num_classes, crop, dropout
        self.layers = self.architecture.layers
        self.convolutions = self.layers[: len(self.architecture.filters)]
        self.classifier = self.layers[len(self.architecture.filters) :]
        self._add_layers()
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` returns, in order."""
        pools = dict(zip(self.convolutions, self.architecture.pools, strict=True))
        taps = [
            [layer, f"pool{layer.removeprefix('conv')}"] if pools.get(layer) else [layer]
            for layer in self.layers[:-1]
        ]
        return (*(name for pair in taps for name in pair), "logits")

    @property
    def map_step_pixels(self) -> int:
        """Pixels between neighboring positions of a class map: 16 (fast) or 12 (accurate)."""
        return self.architecture.conv1_stride * math.prod(
            [pool or 1 for pool in self.architecture.pools[:-1]]
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, 3, crop, crop)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """(N, D): what the last layer reads, for preprocessed images (N, 3, crop, crop)."""
        hidden = self.features(self._checked(images)).flatten(1)
        for layer in self.classifier[:-1]:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return hidden

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of `forward_features`."""
        return self.get_submodule(self.classifier[-1])(features)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, h, w) maps after the last pooling, of images (N, 3, H, W)."""
        hidden = images
        for layer in self.convolutions:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return hidden

    def class_map(self, images: Tensor) -> Tensor:
        """(N, num_classes, h, w) logits of windows of `crop` pixels, `map_step_pixels` apart.

        `images` are preprocessed, (N, 3, H, W) with H and W of `crop` pixels or more. The window at position
        (i, j) starts i steps below and j steps right of the image's corner. Its logits are those of `forward`
        for the window, up to what convolutions that pad their maps read around it: the image here, zeros in a
        crop. At H = W = crop it is (N, num_classes, 1, 1) and `forward` itself. Source: section 3.3.
        """
        return self._slid(self._unpooled(images), self._classify, self.places(*images.shape[2:]))

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the class map of an image of that many pixels: all windows inside it."""
        rows, columns = ((length - self.crop) // self.map_step_pixels + 1 for length in (height, width))
        return rows, columns

    def windows(self, height: int, width: int) -> Corners:
        """(rows x columns, 4) the windows at an image's `places`, row by row, as fractions of the image."""
        rows, columns = self.places(height, width)
        step = self.map_step_pixels
        y, x = np.meshgrid(step * np.arange(rows), step * np.arange(columns), indexing="ij")
        first = np.stack([x.ravel(), y.ravel()], axis=1)
        corners = np.concatenate([first, first + self.crop], axis=1)
        return corners / np.array([width, height, width, height])

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The output of each layer of `layer_names` for preprocessed images (N, 3, crop, crop).

        `convN` and `fcN`: after ReLU, before any other step, in particular before the dropout scaling in
        tests. `poolN`: the maps that the next layer reads.
        """
        hidden, taps = self._checked(images), dict[str, Tensor]()
        for layer, stage in self.after.items():
            hidden = hidden if layer in self.convolutions else hidden.flatten(1)
            hidden = taps[layer] = self.get_submodule(layer)(hidden).relu()
            steps = dict(stage.named_children())
            if "pool" in steps:
                hidden = taps[f"pool{layer.removeprefix('conv')}"] = steps["pool"](hidden)
            if "dropout" in steps:
                hidden = steps["dropout"](hidden)
        return {**taps, "logits": self.get_submodule(self.layers[-1])(hidden)}

    def initialize(self) -> None:
        """Initializes every layer; biases are 0, which the paper does not specify."""
        for name in self.layers:
            self._initialize_layer(name)

    def _initialize_layer(self, name: str) -> None:
        layer = cast(init.Weighted, self.get_submodule(name))
        if self.architecture.initialization == "kaiming":
            init.kaiming(layer)
        else:
            init.gaussian(layer, INIT_STD, 0.0)

    def _add_layers(self) -> None:
        architecture, inputs = self.architecture, 3
        for number, (layer, size, width) in enumerate(
            zip(self.convolutions, architecture.filters, architecture.widths, strict=False)
        ):
            stride = architecture.conv1_stride if number == 0 else 1
            self.add_module(layer, nn.Conv2d(inputs, width, size, stride, self._padding(number)))
            inputs = width
        if self._read_side() < 1:
            raise CommandError(
                f"an image of {self.crop} pixels is too small for this model: its last maps are empty"
            )
        inputs *= self._read_side() ** 2
        units = (*architecture.widths[len(architecture.filters) :], self.num_classes)
        for layer, width in zip(self.classifier, units, strict=True):
            self.add_module(layer, FullyConnected(inputs, width))
            inputs = width

    def _padding(self, number: int) -> int:
        size = self.architecture.filters[number]
        padded = size == 3 or (number == 1 and self.crop < UNPADDED_CROP_PIXELS)
        return size // 2 if padded else 0

    def _stage(self, layer: str) -> FusedBlock:
        """The steps after `layer` as modules."""
        steps: OrderedDict[str, nn.Module] = OrderedDict(relu=nn.ReLU(inplace=True))
        if layer in self.classifier:
            steps["dropout"] = MaskDropout(self.dropout)
        elif pool := self.architecture.pools[self.convolutions.index(layer)]:
            steps["pool"] = nn.MaxPool2d(pool, stride=pool)
        return FusedBlock(steps)

    def _unpooled_side(self, pixels: int) -> int:
        """Side of the last convolution's maps for an image of `pixels` x `pixels`."""
        architecture, side = self.architecture, pixels
        for number, (size, pool) in enumerate(zip(architecture.filters, architecture.pools, strict=True)):
            stride = architecture.conv1_stride if number == 0 else 1
            side = 1 + (side + 2 * self._padding(number) - size) // stride
            is_last = number + 1 == len(architecture.filters)
            side = side if is_last else side // (pool or 1)
        return side

    def _read_side(self) -> int:
        """Side of the pooled maps that the first fully connected layer reads."""
        return self._unpooled_side(self.crop) // (self.architecture.pools[-1] or 1)

    def _unpooled(self, images: Tensor) -> Tensor:
        """The last convolution's maps after ReLU, for images of at least the crop's size."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.crop:
            raise CommandError(
                f"images are {tuple(images.shape)}, a class map needs (N, 3, H, W) with "
                f"H and W of {self.crop} pixels or more"
            )
        *before, last = self.convolutions
        hidden = images.contiguous(memory_format=torch.channels_last)
        for layer in before:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return self.get_submodule(last)(hidden).relu()

    def _slid(self, maps: Tensor, head: Callable[[Tensor], Tensor], places: tuple[int, int]) -> Tensor:
        """`head`, a function of pooled maps, at each position of the unpooled `maps`."""
        return at_every_offset(head, maps, self.architecture.pools[-1] or 1, self._read_side(), places)

    def _classify(self, pooled: Tensor) -> Tensor:
        """(N, num_classes, h, w) logits of pooled maps."""
        hidden = pooled
        for layer in self.classifier:
            side = self._read_side() if layer == self.classifier[0] else 1
            hidden = slide(cast(nn.Linear, self.get_submodule(layer)), hidden, side)
            hidden = self.after[layer](hidden) if layer in self.after else hidden
        return hidden

    def _checked(self, images: Tensor) -> Tensor:
        """`images`, channels-last; CommandError if they are not a batch of this model's crop."""
        wanted = (3, self.crop, self.crop)
        # torch.fx follows the model without images.
        if not isinstance(images, fx.Proxy) and (images.ndim != 4 or images.shape[1:] != wanted):
            raise CommandError(
                f"images are {tuple(images.shape)}, this model was built for (N, 3, {self.crop}, {self.crop}"
                f"): crop them, or build it with another crop ({MINIMUM_CROP_PIXELS} pixels or more)"
            )
        return images.contiguous(memory_format=torch.channels_last)


class OverFeatLocalizer(OverFeat):
    """An OverFeat whose layers are frozen, and a trained regression from its last pooled maps to boxes.

    `forward` returns the classifier's logits, so it can be tested like any classifier. A box is x0, y0, x1,
    y1 as fractions of the window, below 0 and above 1 outside of it. Hidden layers have ReLU and no dropout;
    the initial prediction is the whole window.
    """

    def forward_boxes(self, images: Tensor) -> Tensor:
        """(N, num_classes, 4) boxes, as fractions of each of the preprocessed images (N, 3, crop, crop)."""
        with torch.no_grad():
            hidden = self.features(self._checked(images)).flatten(1)
        for layer in self.regression[:-1]:
            hidden = self.get_submodule(layer)(hidden).relu()
        return self._per_class(self.get_submodule(self.regression[-1])(hidden))

    def class_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`class_map` and (N, num_classes, 4, h, w) the boxes, as fractions of the window at their position.

        `images` are preprocessed, (N, 3, H, W) with H and W of `crop` pixels or more. Source: section 4.1.
        """
        maps, places = self._unpooled(images), self.places(*images.shape[2:])
        boxes = self._slid(maps, self._regress, places)
        return self._slid(maps, self._classify, places), self._per_class(boxes)

    @property
    def regression(self) -> tuple[str, ...]:
        """`box1`, `box2` and `boxes`."""
        return (*(f"box{i}" for i in range(1, len(self.architecture.regression) + 1)), "boxes")

    def initialize(self) -> None:
        """Initializes every layer, and freezes all but the regression."""
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
        """The regression is added before the classifier, because the last layer of any model outputs its
        logits.
        """
        super()._add_layers()
        classifier = {layer: self._modules.pop(layer) for layer in self.classifier}
        inputs = cast(FullyConnected, classifier[self.classifier[0]]).in_features
        boxes = self.num_classes if self.architecture.boxes == "per-class" else 1
        for layer, width in zip(self.regression, (*self.architecture.regression, 4 * boxes), strict=True):
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
    """A localizer with an additional unit, for background, after its last hidden layer. All layers are
    trained.

    It takes images (N, 3, crop, crop) and slides a window of `OverFeatArchitecture.window` pixels over them,
    the input size of its layers; 0 is the crop itself.
    """

    crop_setting: ClassVar[str] = "model.architecture.window"

    def __init__(
        self,
        variant: str | OverFeatArchitecture = "fast",
        num_classes: int = 1000,
        crop: int = 231,
        dropout: float = 0.5,
    ):
        architecture = chosen(OVERFEAT_VARIANTS, variant, "overfeat")
        if architecture.window > crop:
            raise CommandError(
                f"a window of {architecture.window} pixels does not fit into crops of {crop}: type "
                f"data.input_size={architecture.window} or more, or a smaller model.architecture.window"
            )
        super().__init__(architecture, num_classes, architecture.window or crop, dropout)

    def forward(self, images: Tensor) -> Tensor:
        """(N, num_classes) logits of images (N, 3, H, W): for each class the maximum over all positions."""
        return self.class_map(images).amax(dim=(2, 3))

    def object_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classes and boxes of the windows of images (N, 3, H, W), at the positions of `class_map`.

        (N, num_classes + 1, h, w) logits, the last of background, and (N, num_classes, 4, h, w) boxes, as
        fractions of the window there.
        """
        maps, places = self._unpooled(images), self.places(*images.shape[2:])
        boxes = self._slid(maps, self._regress, places)
        return self._slid(maps, self._classify_objects, places), self._per_class(boxes)

    def initialize(self) -> None:
        """Initializes every layer; none is frozen."""
        super().initialize()
        self._initialize_layer("background")
        self.requires_grad_(True)

    def _checked(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (self.crop, self.crop):
            raise CommandError(
                f"this model reads windows of {self.crop} pixels and has no features of a whole photo: use "
                "the localization run that it was initialized from"
            )
        return super()._checked(images)

    def _add_layers(self) -> None:
        """The background is added before the classifier, because the last layer of any model outputs its
        logits.
        """
        super()._add_layers()
        classifier = {layer: self._modules.pop(layer) for layer in self.classifier}
        self.background = FullyConnected(self.architecture.widths[-1], 1)
        self._modules.update(classifier)

    def _classify_objects(self, pooled: Tensor) -> Tensor:
        """(N, num_classes + 1, h, w) logits of pooled maps, the last of background."""
        hidden = pooled
        for layer in self.classifier[:-1]:
            side = self._read_side() if layer == self.classifier[0] else 1
            hidden = self.after[layer](slide(self._layer(layer), hidden, side))
        return torch.cat([slide(self._layer(name), hidden, 1) for name in (self.layers[-1], "background")], 1)
