"""Views: what of a photo a net is shown in a test, and how its answers become one.

A test is a few looks at each photo; a look is one view of it at one scale, and all looks count alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


class View(Protocol):
    """What of a photo is shown, at whatever scale."""

    @property
    def part(self) -> Literal["square", "whole"]:
        """The central square of the photo, or all of it."""
        ...

    def check(self, net: ModelBundle) -> None:
        """CommandError where the net cannot be shown photos so."""
        ...

    def crops(self, height: int, width: int, crop: int) -> int:
        """As how many crops a photo of that size counts where memory is shared out."""
        ...

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """Of a photo of that size, where the net takes `of_crop` for a crop and `of_map` for a class map."""
        ...

    def probabilities(self, net: ModelBundle, images: Tensor) -> Tensor:
        """(N, K), rows sum to 1, for uint8 `images` (N, H, W, C) on the model's device."""
        ...


@dataclass(frozen=True)
class Crops:
    """Squares as large as the net's input: the mean of what the softmax says of each.

    Source: paper, section 4.1 ("averaging the predictions made by the network's softmax layer on the ten
    patches").
    """

    part: Literal["square", "whole"]
    positions: Callable[[int, int, int], Positions]
    """(V, 3) of (height, width, crop)."""

    def check(self, net: ModelBundle) -> None:
        """Any net can."""

    def crops(self, height: int, width: int, crop: int) -> int:
        """V."""
        return len(self.positions(height, width, crop))

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """As `View` says."""
        return self.crops(height, width, crop) * of_crop

    def probabilities(self, net: ModelBundle, images: Tensor) -> Tensor:
        """As `View` says."""
        positions = self.positions(images.shape[1], images.shape[2], net.preprocessing.crop)
        return each_crop(net.model, net.preprocessing, images, positions).mean(dim=1)


@dataclass(frozen=True)
class Dense:
    """The net slid over the uncropped photo, and over its mirror image: the mean of two softmaxes.

    Each is of one score a class for the whole class map: the mean of its places (Simonyan and Zisserman 2014,
    section 3.2), or the largest (Sermanet et al. 2013, section 3.3), as the model's `map_reduction` says.
    """

    part: Literal["whole"] = "whole"

    def check(self, net: ModelBundle) -> None:
        """CommandError where the model has no class map."""
        if not hasattr(net.model, "class_map"):
            raise CommandError(
                f"{net.config.recipe} does not slide over photos: --views dense is not for it, type --views "
                "multi-crop"
            )

    def crops(self, height: int, width: int, crop: int) -> int:
        """The area, in crops."""
        return math.ceil(height * width / crop**2)

    def multiply_adds(
        self, height: int, width: int, crop: int, of_crop: int, of_map: Callable[[int, int], int]
    ) -> int:
        """As `View` says: the photo and its mirror image."""
        return 2 * of_map(height, width)

    def probabilities(self, net: ModelBundle, images: Tensor) -> Tensor:
        """As `View` says."""
        plain = net.preprocessing.whole_input(images)
        reduced = _REDUCTIONS[cast(str, getattr(net.model, "map_reduction", "mean"))]
        slide = cast(Callable[[Tensor], Tensor], net.model.class_map)
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
"""By the name a person types; of several the mean."""
OF_A_SQUARE = ("center", "ten")
"""Those that are crops of a photo's central square."""


@dataclass(frozen=True)
class Look:
    """One view of a photo at one scale."""

    view: View
    scale: int
    """Shorter side of the photo, in pixels."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of what `seen` gives of a picture of that size."""
        square = self.view.part == "square"
        return (self.scale, self.scale) if square else resized_size(height, width, self.scale)

    def seen(self, picture: Pixels, resampling: str) -> Pixels:
        """(H, W, C) the picture at this scale, or its central square; with a filter of `resize.FILTERS`."""
        return (to_square if self.view.part == "square" else to_whole)(picture, self.scale, resampling)


Sizes = tuple[tuple[int, int], ...]
"""(height, width) of what each look sees of a picture."""


def sizes_seen(looks: Sequence[Look], size: tuple[int, int]) -> Sizes:
    """What the looks see of a picture of size (height, width)."""
    return tuple(look.size(*size) for look in looks)


def looks_of(data: DataConfig, views: str, scales: Sequence[int] = (), window: int = 0) -> tuple[Look, ...]:
    """The looks of a test: each of the views at each of the scales, or at the net's own where none is given.

    `data` is the net's; `window` are the pixels that it needs where it slides, by default a crop.
    CommandError where there are no such views, or a scale is smaller than what is seen at once.
    """
    chosen = named(views)
    seen = max(window if window and isinstance(view, Dense) else data.input_size for view in chosen)
    small = [scale for scale in scales if scale < seen]
    if small:
        raise CommandError(
            f"scale {small[0]} is smaller than the {seen} pixels that the net sees: "
            f"give --scales of {seen} or more"
        )
    return tuple(Look(view, scale) for view in chosen for scale in scales or _usual_scales(view, data))


def looks_for(net: ModelBundle, views: str, scales: Sequence[int] = ()) -> tuple[Look, ...]:
    """As `looks_of` the net's data; CommandError also where the net cannot be shown photos so."""
    window = getattr(net.model, "crop", 0) if hasattr(net.model, "class_map") else 0
    looks = looks_of(net.preprocessing.data, views, scales, window)
    for look in looks:
        look.view.check(net)
    return looks


def named(views: str) -> tuple[View, ...]:
    """The views of that name; CommandError names those there are."""
    if views not in VIEWS:
        raise CommandError(f"no views {views!r}; there are {', '.join(VIEWS)}")
    return VIEWS[views]


def positions_of(views: str, preprocessing: Preprocessing) -> Positions:
    """(V, 3) where the crops of one of `OF_A_SQUARE` lie in the net's square; CommandError for others."""
    if views not in OF_A_SQUARE:
        raise CommandError(f"{views!r} are no crops of a square; those are {' and '.join(OF_A_SQUARE)}")
    (view,), side = VIEWS[views], preprocessing.side
    return cast(Crops, view).positions(side, side, preprocessing.crop)


def each_crop(model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions) -> Tensor:
    """(N, V, K) probabilities of each crop of uint8 `images` (N, H, W, C) on the model's device."""
    squares = preprocessing.test_input(images, positions)
    return _softmax(model(squares)).unflatten(0, (len(images), len(positions)))


def name_of(views: str, scales: Sequence[int] = ()) -> str:
    """What a test is called in files and tables: `dense`, or `dense@256,384,512` where scales are given."""
    return f"{views}@{','.join(map(str, scales))}" if scales else views


def sees_whole(name: str) -> bool:
    """Whether a test of that name (`name_of`) sees more of a photo than its central square."""
    return any(view.part == "whole" for view in named(name.partition("@")[0]))


def _usual_scales(view: View, data: DataConfig) -> tuple[int, ...]:
    return (view.part == "whole" and data.test_scales) or (data.test_scale,)


def _softmax(logits: Tensor) -> Tensor:
    """(N, K), in float32."""
    return torch.softmax(logits.float(), dim=1)
