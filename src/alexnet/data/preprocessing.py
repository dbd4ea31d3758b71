"""All that turns a stored uint8 batch into the net's input. It travels with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import from_dict, to_dict
from alexnet.data.boxes import Corners, crop_windows
from alexnet.data.buffers import BufferPool
from alexnet.data.config import DataConfig, default_input_size
from alexnet.data.crops import Positions, center, cut
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.data.transforms import (
    SOURCE_NOISE_DIVISOR,
    color_shifts,
    erase,
    jitter_factors,
    normalize,
    random_boxes,
    random_positions,
    random_resized_crop,
)
from alexnet.errors import CommandError


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """From uint8 images (N, S, S, C), RGB or gray, to float32 (N, C, crop, crop), channels last in memory.

    S is the stored square's side; where photos are resized at random (`data.scales`) it is the crop in
    training, and in the test the test scale. C is 3 or 1. Colors are in gray levels of 0..255 and in the
    net's channel order. The tensors live on the CPU.
    """

    data: DataConfig
    mean: Tensor
    """(C,), or the mean image (S, S, C)."""
    std: Tensor
    """(C,); divided by only where `data.normalization` says so."""
    eigenvalues: Tensor
    """(C,) of the covariance of colors, largest first."""
    eigenvectors: Tensor
    """(C, C), a row each."""
    resized: Mapping[str, str]
    """How the net's training photos became squares: as `Manifest.resized`."""
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    """The channels that the net wants, in its order; L is gray."""
    _buffers: BufferPool = field(default_factory=BufferPool, init=False, repr=False)
    _central_means: dict[torch.device, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_store(cls, data: DataConfig, store: Store, net: str = "alexnet") -> Preprocessing:
        """The preprocessing that `data` asks for, with the statistics of the store's training images.

        CommandError where the two do not fit together; it names a crop that suits the `net`.
        """
        manifest = store.manifest
        # Whole squares stay whole.
        crop = store.side if data.input_size == data.image_size else default_input_size(store.side, net)
        size = f"data.image_size={store.side} data.input_size={crop}" if data.image_size != store.side else ""
        if data.channels != manifest.channels:
            raise CommandError(_other_channels(data, size))
        if size:
            raise CommandError(
                f"the store holds images of side {store.side}, the run wants {data.image_size}: "
                "prepare a store "
                f"with --side {data.image_size}, or type {size} for a net of that size"
            )
        if data.mean_position == "crop" and data.cropping == "random-resized":
            raise CommandError(
                "a resized crop has no place in the mean image: type data.mean_position=center"
            )
        if any(data.scales) and manifest.shape != "whole":
            raise CommandError(
                "data.scales wants whole photos and the store holds squares: prepare one with --shape whole"
            )
        means = {"mean-image": store.mean_image, "range": lambda: data.channels * [_black(data.range)]}
        return cls(
            data=data,
            mean=_tensor(means.get(data.normalization, lambda: manifest.channel_mean)()),
            std=_tensor(np.sqrt(np.diag(manifest.color_covariance))),
            eigenvalues=_tensor(manifest.color_eigenvalues),
            eigenvectors=_tensor(manifest.color_eigenvectors),
            resized=manifest.resized,
            channels="L" if data.channels == 1 else "RGB",
        )

    @property
    def side(self) -> int:
        """Side in pixels of the square that test views are cut from."""
        return self.data.test_scale

    @property
    def crop(self) -> int:
        """Side of the square the net sees, in pixels."""
        return self.data.input_size

    @property
    def divisor(self) -> Tensor:
        """(C,) what gray levels less the mean are divided by: the deviations, those of a range, or ones."""
        low, high = self.data.range
        divisors = {"mean-and-std": self.std, "range": torch.full_like(self.std, 255 / (high - low))}
        return divisors.get(self.data.normalization, torch.ones_like(self.std))

    @property
    def divides(self) -> bool:
        """Whether `divisor` is anything but ones."""
        return self.data.normalization in ("mean-and-std", "range")

    def central_mean(self) -> Tensor:
        """(C, crop, crop) what is subtracted from the central view, in the net's channel order."""
        middle = center(self.side, self.crop)[None]
        return self._mean_at(middle, torch.device("cpu"))[0, 0].permute(2, 0, 1)

    def train_input(self, images: Tensor, randomness: ImageRandomness, color_noise: bool = True) -> Tensor:
        """(N, C, crop, crop) float32 on the device of uint8 `images` (N, S, S, C), augmented.

        `color_noise=False` leaves out the color noise, and with it the source's division by 1.1.
        """
        data = self.data
        positions, squares = self._training_squares(images, randomness.shared(data.images_per_draw))
        noisy = color_noise and data.pca_lighting != "none"
        inputs = self._normalized(
            squares[:, None],
            self._mean_at(positions, images.device),
            self._color_shifts(randomness) if noisy else None,
            SOURCE_NOISE_DIVISOR if noisy and data.pca_lighting == "source" else 1.0,
            jitter_factors(randomness, data.color_jitter) if data.color_jitter > 0 else None,
        )
        if data.random_erasing > 0:
            erase(inputs[:, 0], randomness, data.random_erasing)
        return inputs.flatten(0, 1).permute(0, 3, 1, 2)

    def train_windows(self, side: int, randomness: ImageRandomness) -> tuple[Corners, NDArray[np.int64]]:
        """(N, 4) what `train_input` shows of each square of `side` pixels, and (N,) 1 where it is mirrored.

        A window is x0, y0, x1, y1 in shares of the square.
        """
        data, randomness = self.data, randomness.shared(self.data.images_per_draw)
        if data.cropping == "random-resized":
            y, x, height, width = random_boxes(side, randomness, data.resized_area, data.resized_aspect).T
            mirrored = randomness.integers("mirror", 2) * data.mirror
            return np.stack([x, y, x + width, y + height], axis=1) / side, mirrored
        positions = self._training_positions(side, randomness)[:, 0]
        return crop_windows(positions, side, self.crop), positions[:, 2]

    def test_input(self, images: Tensor, positions: Positions) -> Tensor:
        """(N * V, C, crop, crop) float32: the views at `positions` (V, 3) of each image follow each other.

        `images` are uint8 (N, H, W, C). Where they are not S x S, crops have no place in the mean image and
        its center is subtracted.
        """
        placed = images.shape[1:3] == (self.side, self.side)
        places = positions if placed else center(self.side, self.crop)
        squares = cut(images, self.crop, positions)
        inputs = self._normalized(squares, self._mean_at(places[None], images.device))
        return inputs.flatten(0, 1).permute(0, 3, 1, 2)

    def whole_input(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32: uint8 `images` (N, H, W, C) uncropped, less the mean color of crops.

        That is one for all pixels, as a net that slides wants it; of a mean image, the mean of its center.
        """
        color = self._mean_at(center(self.side, self.crop)[None], images.device).mean((2, 3), keepdim=True)
        row = color.expand(-1, -1, 1, images.shape[2], -1).contiguous()
        return self._normalized(images[:, None], row)[:, 0].permute(0, 3, 1, 2)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """All of it, as a dictionary ready for JSON and as named tensors."""
        values = {"data": to_dict(self.data), "resized": dict(self.resized), "channels": self.channels}
        names = ("mean", "std", "eigenvalues", "eigenvectors")
        return values, {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Preprocessing:
        """What `state` gave, back again; ConfigError on fields of DataConfig that do not exist."""
        return cls(
            data=from_dict(DataConfig, values["data"], "data."),
            resized=values["resized"],
            channels=values["channels"],
            mean=tensors["mean"],
            std=tensors["std"],
            eigenvalues=tensors["eigenvalues"],
            eigenvectors=tensors["eigenvectors"],
        )

    def difference(self, other: Preprocessing) -> list[str]:
        """A line for each way in which the two see the same test image differently."""
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
            line for name in used for line in _apart(name, getattr(self, name), getattr(other, name))
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
        """(N, 1, 3) where the training crops of squares of `side` pixels lie, if they are not resized."""
        positions = random_positions(side, self.crop, randomness, self.data.mirror)
        if self.data.cropping == "center":
            positions[..., :2] = center(side, self.crop)[:, :2]
        return positions

    def _mean_at(self, positions: Positions, device: torch.device) -> Tensor:
        """Subtracted at `positions` (n, v, 3): (n, v, crop, crop, C), or 1 for n and v if always alike."""
        if self.mean.ndim == 3 and self.data.mean_position == "crop":
            return cut(self.mean.expand(len(positions), -1, -1, -1), self.crop, positions).to(device)
        if device not in self._central_means:
            everywhere = self.mean.expand(1, self.side, self.side, -1)
            middle = center(self.side, self.crop)
            self._central_means[device] = cut(everywhere, self.crop, middle).to(device)
        return self._central_means[device]

    def _color_shifts(self, randomness: ImageRandomness) -> NDArray[np.float32]:
        data = self.data
        assert data.pca_lighting != "none"
        values, vectors = self.eigenvalues.double().numpy(), self.eigenvectors.double().numpy()
        return color_shifts(randomness, values, vectors, data.pca_lighting_strength, data.pca_lighting)

    def _normalized(
        self,
        squares: Tensor,
        means: Tensor,
        shifts: NDArray[np.float32] | None = None,
        divisor: float = 1.0,
        jitter: NDArray[np.float32] | None = None,
    ) -> Tensor:
        """uint8 (N, V, crop, crop, C) as the net's numbers; on a CPU in memory that is used again."""
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


def _other_channels(data: DataConfig, size: str) -> str:
    """What to say of a store of other channels than `data` wants; `size` is what to type of another side."""
    side, typed = (f" --side {data.image_size}", f" {size}") if size else ("", "")
    if data.channels == 3:
        return (
            f"the store holds gray images and the run wants color: prepare one with --channels 3{side}, "
            f"type data.channels=1 data.pca_lighting=none{typed} for a gray AlexNet, or train a recipe for "
            "digits (lenet-5, lenet-modern, lenet-1989)"
        )
    return (
        "the store holds images in color and the run wants gray ones: prepare one with --channels 1"
        f"{side}, or type data.channels=3{typed} for color"
    )


def _black(levels: tuple[float, float]) -> float:
    """The gray level, of 0..255, that becomes 0 where 0 and 255 become `levels`."""
    low, high = levels
    return -255 * low / (high - low)


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _apart(name: str, mine: Tensor, theirs: Tensor) -> list[str]:
    """A line where two statistics differ by more than half a gray level, or in kind."""
    if mine.shape != theirs.shape:
        return [f"{name}: shape {tuple(mine.shape)} and {tuple(theirs.shape)}"]
    largest = float((mine - theirs).abs().max())
    return [f"{name}: up to {largest:.1f} gray levels apart"] if largest > 0.5 else []
