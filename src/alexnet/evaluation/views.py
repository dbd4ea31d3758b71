"""Views: which inputs a test makes of each photo, and how the model's outputs become one prediction.

A test uses one or more scaled views of each photo: one of the views at one scale. All have the same weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from alexnet.data.config import DataConfig
from alexnet.data.crops import Positions, center, grid, ten
from alexnet.data.decode import Pixels
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import resized_size, to_square, to_whole
from alexnet.errors import CommandError
from alexnet.models.bundle import ModelBundle
from alexnet.runs.results import ViewSet


class View(Protocol):
    """Which part of a photo is tested, at any scale."""

    @property
    def part(self) -> Literal["square", "whole"]:
        """The central square of the photo, or all of it."""
        ...

    def check(self, bundle: ModelBundle) -> None:
        """CommandError if the model does not support these views."""
        ...

    def crops(self, height: int, width: int, crop: int) -> int:
        """The number of crops to which a photo of that size is equivalent in memory."""
        ...

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """Multiply-adds for a photo of that size, given those of a crop (`of_crop`) and of a class map
        (`of_map`).
        """
        ...

    def probabilities(self, bundle: ModelBundle, images: Tensor) -> Tensor:
        """(N, K), rows sum to 1, for uint8 `images` (N, H, W, C) on the model's device."""
        ...


@dataclass(frozen=True)
class Crops:
    """Squares as large as the model's input: the mean of their softmax outputs.

    Source: paper, section 4.1 ("averaging the predictions made by the network's softmax layer on the ten
    patches").
    """

    part: Literal["square", "whole"]
    positions: Callable[[int, int, int], Positions]
    """(V, 3) of (height, width, crop)."""

    def check(self, bundle: ModelBundle) -> None:
        """Any model takes crops."""

    def crops(self, height: int, width: int, crop: int) -> int:
        """V, the number of positions."""
        return len(self.positions(height, width, crop))

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """V times those of a crop."""
        return self.crops(height, width, crop) * of_crop

    def probabilities(self, bundle: ModelBundle, images: Tensor) -> Tensor:
        """(N, K) float32, rows sum to 1: the mean over the crops of uint8 `images` (N, H, W, C)."""
        positions = self.positions(images.shape[1], images.shape[2], bundle.preprocessing.crop)
        return each_crop(bundle.model, bundle.preprocessing, images, positions).mean(dim=1)


@dataclass(frozen=True)
class Dense:
    """The model slides over the uncropped photo and over its mirror image: the mean of two softmax outputs.

    Before the softmax, the class map is reduced to one score per class: the mean over its positions (Simonyan
    and Zisserman 2014, section 3.2) or the maximum (Sermanet et al. 2013, section 3.3), according to the
    model's `map_reduction`.
    """

    part: Literal["whole"] = "whole"

    def check(self, bundle: ModelBundle) -> None:
        """CommandError if the model has no class map."""
        if not hasattr(bundle.model, "class_map"):
            raise CommandError(
                f"{bundle.config.recipe} cannot slide over photos as --views dense does: type --views "
                "multi-crop"
            )

    def crops(self, height: int, width: int, crop: int) -> int:
        """The area of the photo divided by that of a crop, rounded up."""
        return math.ceil(height * width / crop**2)

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """Those of the class maps of the photo and of its mirror image."""
        return 2 * of_map(height, width)

    def probabilities(self, bundle: ModelBundle, images: Tensor) -> Tensor:
        """(N, K) float32, rows sum to 1: the mean of uint8 `images` (N, H, W, C) and their mirror images."""
        plain = bundle.preprocessing.whole_input(images)
        reduced = _REDUCTIONS[cast(str, getattr(bundle.model, "map_reduction", "mean"))]
        slide = cast(Callable[[Tensor], Tensor], bundle.model.class_map)
        return torch.stack([_softmax(reduced(slide(each))) for each in (plain, plain.flip(3))]).mean(dim=0)


_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda maps: maps.float().mean(dim=(2, 3)),
    "max": lambda maps: maps.amax(dim=(2, 3)),
}
"""(N, K, h, w) -> (N, K), by a model's `map_reduction`."""

_GRID = Crops("whole", grid)
VIEWS: dict[str, tuple[View, ...]] = {
    "center": (Crops("square", lambda height, width, crop: center(height, crop)),),
    "ten": (Crops("square", lambda height, width, crop: ten(height, crop)),),
    "multi-crop": (_GRID,),
    "dense": (Dense(),),
    "dense+multi-crop": (Dense(), _GRID),
}
"""The views by the name in a `ViewSet`; if there are several, their predictions are averaged."""
OF_A_SQUARE = ("center", "ten")
"""The views that are crops of a photo's central square."""


@dataclass(frozen=True)
class ScaledView:
    """One view of a photo at one scale."""

    view: View
    scale: int
    """Shorter side of the photo, in pixels."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result of `render` for a photo of that size."""
        square = self.view.part == "square"
        return (self.scale, self.scale) if square else resized_size(height, width, self.scale)

    def render(self, photo: Pixels, resampling: str) -> Pixels:
        """(H, W, C) the photo at this scale, or its central square; with a filter of `resize.FILTERS`."""
        return (to_square if self.view.part == "square" else to_whole)(photo, self.scale, resampling)


Sizes = tuple[tuple[int, int], ...]
"""(height, width) of each scaled view of a photo."""


def rendered_sizes(scaled: Sequence[ScaledView], size: tuple[int, int]) -> Sizes:
    """Sizes of the scaled views of a photo of size (height, width)."""
    return tuple(each.size(*size) for each in scaled)


def scaled_views_of(data: DataConfig, views: ViewSet, window: int = 0) -> tuple[ScaledView, ...]:
    """Each of the views at each of the scales, by default at those of the model.

    `data` is the model's configuration; `window` is the size in pixels that it needs for sliding, by default
    that of a crop. CommandError if there are no such views, or a scale is smaller than the model's input.
    """
    chosen = views_named(views.name)
    needed = max(window if window and isinstance(view, Dense) else data.input_size for view in chosen)
    small = [scale for scale in views.scales if scale < needed]
    if small:
        raise CommandError(
            f"scale {small[0]} is smaller than the {needed} pixels that the model needs: type --scales of "
            f"{needed} or more"
        )
    return tuple(
        ScaledView(view, scale) for view in chosen for scale in views.scales or _default_scales(view, data)
    )


def scaled_views(bundle: ModelBundle, views: ViewSet) -> tuple[ScaledView, ...]:
    """As `scaled_views_of` the model's data; CommandError also if the model does not support these views."""
    window = getattr(bundle.model, "crop", 0) if hasattr(bundle.model, "class_map") else 0
    scaled = scaled_views_of(bundle.preprocessing.data, views, window)
    for each in scaled:
        each.view.check(bundle)
    return scaled


def views_named(name: str) -> tuple[View, ...]:
    """The views of that name; CommandError lists the names that exist."""
    if name not in VIEWS:
        raise CommandError(f"no views {name!r}; choose from: {', '.join(VIEWS)}")
    return VIEWS[name]


def parse_views(views: str | ViewSet) -> ViewSet:
    """Parses views such as `dense@256,288`; CommandError if the text is not of this form. The name may be
    empty.
    """
    try:
        chosen = ViewSet.parse(views) if isinstance(views, str) else views
    except ValueError as error:
        raise CommandError(f"{views!r} are not views such as dense@256,288") from error
    if chosen.name:
        views_named(chosen.name)
    return chosen


def with_default(views: ViewSet, default: ViewSet) -> ViewSet:
    """The views, or the default ones where they have no name; scales that they have are kept."""
    return views if views.name else replace(default, scales=views.scales or default.scales)


def positions_of(name: str, preprocessing: Preprocessing) -> Positions:
    """(V, 3) positions of the crops of one of `OF_A_SQUARE` in the stored square; CommandError for others."""
    if name not in OF_A_SQUARE:
        raise CommandError(f"{name!r} are not crops of a square, unlike {' and '.join(OF_A_SQUARE)}")
    (view,), side = VIEWS[name], preprocessing.side
    return cast(Crops, view).positions(side, side, preprocessing.crop)


def each_crop(model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions) -> Tensor:
    """(N, V, K) probabilities of each crop of uint8 `images` (N, H, W, C) on the model's device."""
    squares = preprocessing.test_input(images, positions)
    return _softmax(model(squares)).unflatten(0, (len(images), len(positions)))


def is_whole(views: ViewSet) -> bool:
    """Whether a test with these views uses more of a photo than its central square."""
    return any(view.part == "whole" for view in views_named(views.name))


def _default_scales(view: View, data: DataConfig) -> tuple[int, ...]:
    return (view.part == "whole" and data.test_scales) or (data.test_scale,)


def _softmax(logits: Tensor) -> Tensor:
    """(N, K), in float32."""
    return torch.softmax(logits.float(), dim=1)
