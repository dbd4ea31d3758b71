"""Turns stored uint8 batches into a model's input. It is saved with the weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import ConfigError, from_dict, to_dict
from alexnet.data.boxes import Corners, crop_windows
from alexnet.data.buffers import BufferPool
from alexnet.data.config import DataConfig, data_checks, scaled_input_size
from alexnet.data.crops import Positions, center, cut
from alexnet.data.decode import Pixels, in_channels
from alexnet.data.photos import Photo, pixels_of
from alexnet.data.randomness import ImageRandomness
from alexnet.data.resize import pad, shrink, to_square, warp
from alexnet.data.store import Store
from alexnet.data.transforms import (
    erase,
    jitter_factors,
    normalize,
    pca_lighting,
    random_boxes,
    random_positions,
    random_resized_crop,
)
from alexnet.errors import CommandError


@dataclass(frozen=True)
class _State:
    """What `Preprocessing.state` has for JSON; ConfigError if it does not fit together."""

    data: DataConfig
    resized: dict[str, str]
    channels: Literal["RGB", "BGR", "L"]

    def __post_init__(self) -> None:
        checks = [
            *data_checks(self.data),
            (
                (self.channels == "L") == (self.data.channels == 1),
                f"channels {self.channels} do not fit data.channels={self.data.channels}",
            ),
            (self.resized.get("resize") in ("crop", "warp", "pad"), "resized.resize is unknown"),
            (
                self.resized.get("resize") != "pad" or _is_side(self.resized.get("picture", "")),
                "resized.picture is no number of pixels",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise ConfigError(message)


def _is_side(text: str) -> bool:
    """Whether it is a number of pixels, below a million."""
    return re.fullmatch("[0-9]{1,6}", text) is not None


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Turns uint8 images (N, S, S, C), RGB or gray, into float32 (N, C, crop, crop), channels last in memory.

    S is the stored square's side; where photos are resized at random (`data.scales`), S is the crop in
    training and the test scale in testing. C is 3 or 1. Colors are in gray levels 0..255 and in the model's
    channel order. The tensors are on the CPU.
    """

    data: DataConfig
    mean: Tensor
    """(C,), or the mean image (S, S, C)."""
    std: Tensor
    """(C,); used only if `data.normalization` is `mean-and-std`."""
    eigenvalues: Tensor
    """(C,) eigenvalues of the covariance of colors, largest first."""
    eigenvectors: Tensor
    """(C, C) eigenvectors, one per row."""
    resized: Mapping[str, str]
    """How the training photos were resized: `Manifest.resized`."""
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    """The model's channel order; L is gray."""
    _buffers: BufferPool = field(default_factory=BufferPool, init=False, repr=False)
    _central_means: dict[torch.device, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_store(
        cls, data: DataConfig, store: Store, crop_for: Callable[[int, DataConfig], int] = scaled_input_size
    ) -> Preprocessing:
        """The preprocessing configured by `data`, with the statistics of the store's training images.

        CommandError if the configuration and the store do not fit together; `crop_for` is the crop that it
        proposes for a side.
        """
        manifest = store.manifest
        crop = crop_for(store.side, data)
        size = f"data.image_size={store.side} data.input_size={crop}" if data.image_size != store.side else ""
        if data.channels != manifest.channels:
            raise CommandError(_other_channels(data, size))
        if size:
            raise CommandError(
                f"the store holds images of side {store.side}, the run needs {data.image_size}: prepare one "
                f"with --side {data.image_size}, or type {size} for a model of that size"
            )
        if data.mean_position == "crop" and data.cropping == "random-resized":
            raise CommandError(
                "a resized crop has no position in the mean image: type data.mean_position=center"
            )
        if any(data.scales) and manifest.shape != "whole":
            raise CommandError(
                "data.scales needs whole photos and the store holds squares: prepare one with --shape whole"
            )
        means = {"mean-image": store.mean_image, "range": lambda: data.channels * [_black(data.range)]}
        color_mean = data.color_mean or manifest.channel_mean
        return cls(
            data=data,
            mean=_tensor(means.get(data.normalization, lambda: color_mean)()),
            std=_tensor(data.color_std or np.sqrt(np.diag(manifest.color_covariance))),
            eigenvalues=_tensor(manifest.color_eigenvalues),
            eigenvectors=_tensor(manifest.color_eigenvectors),
            resized=manifest.resized,
            channels="L" if data.channels == 1 else "RGB",
        )

    @property
    def side(self) -> int:
        """Side in pixels of the square that test crops are cut from."""
        return self.data.test_scale

    @property
    def crop(self) -> int:
        """Side of the model's input, in pixels."""
        return self.data.input_size

    @property
    def divisor(self) -> Tensor:
        """(C,) divisors of mean-subtracted gray levels: standard deviations, those of a range, or ones."""
        low, high = self.data.range
        divisors = {"mean-and-std": self.std, "range": torch.full_like(self.std, 255 / (high - low))}
        return divisors.get(self.data.normalization, torch.ones_like(self.std))

    @property
    def divides(self) -> bool:
        """Whether `divisor` is not all ones."""
        return self.data.normalization in ("mean-and-std", "range")

    def central_mean(self) -> Tensor:
        """(C, crop, crop) the mean subtracted from the center crop, in the model's channel order."""
        return self.means(center(self.side, self.crop))[0]

    def means(self, positions: Positions) -> Tensor:
        """(V, C, crop, crop) the mean subtracted from the crops at `positions` (V, 3), in the model's channel
        order; V is 1 if it is the same for all.
        """
        return self._mean_at(positions[None], torch.device("cpu"))[0].permute(0, 3, 1, 2)

    def train_input(self, images: Tensor, randomness: ImageRandomness, lighting: bool = True) -> Tensor:
        """(N, C, crop, crop) float32 on the device of uint8 `images` (N, S, S, C), augmented.

        `lighting=False` turns off PCA lighting. While it is on, the 2012 source divides the input by 1 + its
        strength, that is 1.1 (CHM release, convdata_jpeg.py).
        """
        data = self.data
        positions, squares = self._training_squares(images, randomness.shared(data.images_per_draw))
        lit = lighting and data.pca_lighting != "none"
        inputs = self._normalized(
            squares[:, None],
            self._mean_at(positions, images.device),
            self._lighting(randomness) if lit else None,
            1 + data.pca_lighting_strength if lit and data.pca_lighting == "source" else 1.0,
            jitter_factors(randomness, data.color_jitter) if data.color_jitter > 0 else None,
        )
        if data.random_erasing > 0:
            erase(inputs[:, 0], randomness, data.random_erasing)
        return inputs.flatten(0, 1).permute(0, 3, 1, 2)

    def train_windows(self, side: int, randomness: ImageRandomness) -> tuple[Corners, NDArray[np.int64]]:
        """(N, 4) the window of each square of `side` pixels in `train_input`, and (N,) 1 where mirrored.

        A window is x0, y0, x1, y1 in fractions of the square.
        """
        data, randomness = self.data, randomness.shared(self.data.images_per_draw)
        if data.cropping == "random-resized":
            y, x, height, width = random_boxes(side, randomness, data.resized_area, data.resized_aspect).T
            mirrored = randomness.integers("mirror", 2) * data.mirror
            return np.stack([x, y, x + width, y + height], axis=1) / side, mirrored
        positions = self._training_positions(side, randomness)[:, 0]
        return crop_windows(positions, side, self.crop), positions[:, 2]

    def test_input(self, images: Tensor, positions: Positions) -> Tensor:
        """(N * V, C, crop, crop) float32: the crops at `positions` (V, 3) of the first image, then the next.

        `images` are uint8 (N, H, W, C). If they are not S x S, crops have no position in the mean image, and
        its center is subtracted.
        """
        placed = images.shape[1:3] == (self.side, self.side)
        places = positions if placed else center(self.side, self.crop)
        squares = cut(images, self.crop, positions)
        inputs = self._normalized(squares, self._mean_at(places[None], images.device))
        return inputs.flatten(0, 1).permute(0, 3, 1, 2)

    def whole_input(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32: uncropped uint8 `images` (N, H, W, C) minus the mean color of crops.

        The same color is subtracted from all pixels, as a fully convolutional model needs it; of a mean image
        it is the mean of the center crop.
        """
        color = self._mean_at(center(self.side, self.crop)[None], images.device).mean((2, 3), keepdim=True)
        row = color.expand(-1, -1, 1, images.shape[2], -1).contiguous()
        return self._normalized(images[:, None], row)[:, 0].permute(0, 3, 1, 2)

    def __call__(self, photo: Photo) -> Tensor:
        """(C, crop, crop) float32: the model's input for the center crop of one photo.

        The photo is resized as the training photos were, and the input is that of `views="center"`. So it can
        be used as a torchvision transform: a PIL image in, a tensor out. Errors as `pixels_of`.
        """
        square = torch.from_numpy(to_stored_square(pixels_of(photo), self))
        return self.test_input(square[None], center(self.side, self.crop))[0].clone()

    def __repr__(self) -> str:
        """`Preprocessing(square of 72 pixels -> crop of 64 x 64, RGB, mean-image)`."""
        sizes = f"square of {self.side} pixels -> crop of {self.crop} x {self.crop}"
        return f"Preprocessing({sizes}, {self.channels}, {self.data.normalization})"

    def __getstate__(self) -> dict[str, Any]:
        """Without recycled memory, which belongs to one process."""
        return {**self.__dict__, "_buffers": None, "_central_means": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _buffers=BufferPool())

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Everything, as a dictionary for JSON and as named tensors."""
        values = {"data": to_dict(self.data), "resized": dict(self.resized), "channels": self.channels}
        names = ("mean", "std", "eigenvalues", "eigenvectors")
        return values, {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Preprocessing:
        """The preprocessing with this `state`; ConfigError, KeyError or ValueError if it is none."""
        state = from_dict(_State, values)
        count, side = state.data.channels, state.data.image_size
        shapes = {
            "mean": {(count,), (side, side, count)},
            "std": {(count,)},
            "eigenvalues": {(count,)},
            "eigenvectors": {(count, count)},
        }
        for name, allowed in shapes.items():
            if tuple(tensors[name].shape) not in allowed:
                raise ValueError(f"preprocessing.{name} has shape {tuple(tensors[name].shape)}")
        return cls(
            data=state.data,
            resized=state.resized,
            channels=state.channels,
            **{name: tensors[name] for name in shapes},
        )

    def difference(self, other: Preprocessing) -> list[str]:
        """A line for each way in which the two process the same test image differently."""
        names = ("image_size", "test_scale", "input_size", "normalization", "mean_position")
        if self.data.normalization == "range":
            names += ("range",)
        mine = {name: getattr(self.data, name) for name in names} | dict(self.resized)
        theirs = {name: getattr(other.data, name) for name in names} | dict(other.resized)
        mine["channels"], theirs["channels"] = self.channels, other.channels
        lines = [
            f"{name}: {mine.get(name)} and {theirs.get(name)}"
            for name in mine | theirs
            if mine.get(name) != theirs.get(name)
        ]
        used = ("mean", "std") if self.data.normalization == "mean-and-std" else ("mean",)
        return lines + [
            line for name in used for line in _difference(name, getattr(self, name), getattr(other, name))
        ]

    def _training_squares(self, images: Tensor, randomness: ImageRandomness) -> tuple[Positions, Tensor]:
        """Positions (N or 1, 1, 3) in the mean image, and uint8 squares (N, crop, crop, C)."""
        data = self.data
        if data.cropping == "random-resized":
            area, aspect = data.resized_area, data.resized_aspect
            squares = random_resized_crop(images, data.input_size, randomness, area, aspect, data.mirror)
            return center(data.image_size, data.input_size)[None], squares
        positions = self._training_positions(images.shape[1], randomness)
        return positions, cut(images, data.input_size, positions)[:, 0]

    def _training_positions(self, side: int, randomness: ImageRandomness) -> Positions:
        """(N, 1, 3) positions of training crops in squares of `side` pixels; not for resized crops."""
        positions = random_positions(side, self.crop, randomness, self.data.mirror)
        if self.data.cropping == "center":
            positions[..., :2] = center(side, self.crop)[:, :2]
        return positions

    def _mean_at(self, positions: Positions, device: torch.device) -> Tensor:
        """(n, v, crop, crop, C) the mean at `positions` (n, v, 3); 1 for n and v if the same for all."""
        if self.mean.ndim == 3 and self.data.mean_position == "crop":
            return cut(self.mean.expand(len(positions), -1, -1, -1), self.crop, positions).to(device)
        if device not in self._central_means:
            everywhere = self.mean.expand(1, self.side, self.side, -1)
            middle = center(self.side, self.crop)
            self._central_means[device] = cut(everywhere, self.crop, middle).to(device)
        return self._central_means[device]

    def _lighting(self, randomness: ImageRandomness) -> NDArray[np.float32]:
        data = self.data
        assert data.pca_lighting != "none"
        values, vectors = self.eigenvalues.double().numpy(), self.eigenvectors.double().numpy()
        return pca_lighting(randomness, values, vectors, data.pca_lighting_strength, data.pca_lighting)

    def _normalized(
        self,
        squares: Tensor,
        means: Tensor,
        shifts: NDArray[np.float32] | None = None,
        divisor: float = 1.0,
        jitter: NDArray[np.float32] | None = None,
    ) -> Tensor:
        """uint8 crops (N, V, crop, crop, C) normalized to float32; on a CPU in recycled memory."""
        if self.channels == "BGR":
            squares = squares.flip(-1)
        shape, device = tuple(squares.shape), squares.device
        on_cpu = device.type == "cpu"
        inputs = self._buffers.take(shape, torch.float32) if on_cpu else torch.empty(shape, device=device)
        scaled = divisor != 1 or self.divides
        normalize(
            inputs,
            squares,
            means,
            None if shifts is None else torch.from_numpy(shifts[:, None]).to(device),
            (self.divisor * divisor)[None, None].to(device) if scaled else None,
            None if jitter is None else torch.from_numpy(jitter[:, None]).to(device),
        )
        return inputs


def to_stored_square(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(side, side, C) uint8 of an RGB photo `pixels` (H, W, 3) uint8, as `Preprocessing.test_input` takes it.

    `side` is that of `preprocessing`, and C is 3, or 1 if the training photos were gray. The photo is resized
    as they were; a square of that side is not. If they were padded, a photo larger than any of them is first
    shrunk to their size. UnreadableImage if it would have more than `MAX_PIXELS` on the way, DataError for an
    unknown filter.
    """
    resized, side = preprocessing.resized, preprocessing.side
    pixels = in_channels(pixels, preprocessing.data.channels)
    if pixels.shape[:2] == (side, side):
        return pixels
    if resized["resize"] == "pad":
        return pad(shrink(pixels, int(resized["picture"]), resized["resampling"]), side)
    return (warp if resized["resize"] == "warp" else to_square)(pixels, side, resized["resampling"])


def enlargement(pixels: Pixels, preprocessing: Preprocessing) -> float:
    """The factor by which `to_stored_square` enlarges the shorter side of a photo `pixels` (H, W, C).

    Below 1 for a photo that is reduced; 1 if photos are padded, which are never enlarged.
    """
    padded = preprocessing.resized["resize"] == "pad"
    return 1 if padded else preprocessing.side / min(pixels.shape[:2])


def _other_channels(data: DataConfig, size: str) -> str:
    """The message for a store whose channels are not those that `data` needs; `size` is what to type for
    another side.
    """
    side, extra = (f" --side {data.image_size}", f" {size}") if size else ("", "")
    if data.channels == 3:
        return (
            f"the store holds gray images and the run needs color: prepare one with --channels 3{side}, "
            f"type data.channels=1 data.pca_lighting=none{extra} for a gray AlexNet, or train a recipe for "
            "digits (lenet-5, lenet-modern, lenet-1989)"
        )
    return (
        "the store holds color images and the run needs gray ones: prepare one with --channels 1"
        f"{side}, or type data.channels=3{extra} for color"
    )


def _black(levels: tuple[float, float]) -> float:
    """The gray level in 0..255 that becomes 0 if 0 and 255 become `levels`."""
    low, high = levels
    return -255 * low / (high - low)


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _difference(name: str, mine: Tensor, theirs: Tensor) -> list[str]:
    """A line if two statistics differ by more than half a gray level, or in shape."""
    if mine.shape != theirs.shape:
        return [f"{name}: shape {tuple(mine.shape)} and {tuple(theirs.shape)}"]
    largest = float((mine - theirs).abs().max())
    return [f"{name}: up to {largest:.1f} gray levels apart"] if largest > 0.5 else []
