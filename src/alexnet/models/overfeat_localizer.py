"""OverFeat with a second head that says where: a box for each class, at every place of an image.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 4.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from alexnet.data.box_geometry import WHOLE
from alexnet.layers.fully_connected import FullyConnected, slide
from alexnet.models.overfeat import OverFeat


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

    def initialise(self) -> None:
        """Fills every layer anew, and lets the regression alone learn."""
        super().initialise()
        for layer in self.regression:
            self._initialise_layer(layer)
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
