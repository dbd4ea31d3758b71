"""OverFeat that says nothing is there where nothing is: a class of background beside the others.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.errors import CommandError
from alexnet.layers.fully_connected import FullyConnected, slide
from alexnet.models.named_variants import variant_of
from alexnet.models.overfeat import VARIANTS, Variant
from alexnet.models.overfeat_localizer import OverFeatLocalizer


class OverFeatDetector(OverFeatLocalizer):
    """A localiser with one more unit, of background, behind its last hidden layer. All of it learns.

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
                f"a window of {chosen.window} pixels does not fit into crops of {crop}: type data.crop="
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

    def initialise(self) -> None:
        """Fills every layer anew, and lets all of them learn."""
        super().initialise()
        self._initialise_layer("background")
        self.requires_grad_(True)

    def _checked(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (self.crop, self.crop):
            raise CommandError(
                f"this net looks through windows of {self.crop} pixels and has no features of a whole photo: "
                "give the localisation that it began with"
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
