"""All that turns a stored uint8 batch into the net's input. It travels with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import DataConfig, from_dict, to_dict
from alexnet.data.augment import SOURCE_NOISE_DIVISOR, color_shifts, random_positions
from alexnet.data.buffers import BufferPool
from alexnet.data.modern_augment import color_jitter, erase, random_resized_crop
from alexnet.data.randomness import ImageRandomness
from alexnet.data.views import Positions, centre, cut
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from alexnet.data.store import Store


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """From uint8 images (N, S, S, 3), RGB, to float32 (N, 3, crop, crop), channels last in memory.

    Colours are in grey levels of 0..255 and in the net's channel order. The tensors live on the CPU.
    """

    data: DataConfig
    mean: Tensor
    """(3,), or the mean image (S, S, 3)."""
    std: Tensor
    """(3,); divided by only where `data.normalization` says so."""
    eigenvalues: Tensor
    """(3,) of the covariance of colours, largest first."""
    eigenvectors: Tensor
    """(3, 3), a column each."""
    resized: Mapping[str, str]
    """How the store's images were resized; only compared."""
    channels: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels that the net wants."""
    _buffers: BufferPool = field(default_factory=BufferPool, repr=False)
    _central_means: dict[torch.device, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def from_store(cls, data: DataConfig, store: Store) -> Preprocessing:
        """The preprocessing that `data` asks for, with the statistics of the store's training images.

        CommandError where the two do not fit together.
        """
        if data.side != store.header.side:
            raise CommandError(
                f"the store holds images of side {store.header.side}, the run wants {data.side}: "
                f"type data.side={store.header.side}, or prepare a store with --side {data.side}"
            )
        if data.mean_position == "crop" and data.cropping == "random-resized":
            raise CommandError(
                "a resized crop has no place in the mean image: type data.mean_position=centre"
            )
        covariance = np.asarray(store.color_covariance, np.float64)
        eigenvalues, eigenvectors = _axes(covariance)
        mean = store.mean_image if data.normalization == "mean-image" else store.channel_mean
        return cls(
            data=data,
            mean=_tensor(mean),
            std=_tensor(np.sqrt(np.diag(covariance))),
            eigenvalues=_tensor(eigenvalues),
            eigenvectors=_tensor(eigenvectors),
            resized=store.header.resized,
        )

    @property
    def side(self) -> int:
        """Side of the stored square in pixels."""
        return self.data.side

    @property
    def crop(self) -> int:
        """Side of the square the net sees, in pixels."""
        return self.data.crop

    def train_input(self, images: Tensor, randomness: ImageRandomness, color_noise: bool = True) -> Tensor:
        """(N, 3, crop, crop) float32 on the device of uint8 `images` (N, S, S, 3), augmented.

        `color_noise=False` leaves out the colour noise, and with it the source's division by 1.1.
        """
        data = self.data
        positions, squares = self._training_squares(images, randomness.shared(data.images_per_draw))
        inputs = self._floats(squares[:, None])
        if data.color_jitter > 0:
            color_jitter(inputs[:, 0], randomness, data.color_jitter)
        inputs.sub_(self._mean_at(positions, images.device))
        divisor = 1.0
        if color_noise and data.color_noise != "none":
            shifts = self._color_shifts(randomness).to(images.device)
            inputs.view(len(images), data.crop, -1).add_(shifts.repeat(1, data.crop)[:, None])
            divisor = SOURCE_NOISE_DIVISOR if data.color_noise == "source" else 1.0
        inputs = self._divided(inputs, divisor)
        if data.erasing > 0:
            erase(inputs[:, 0], randomness, data.erasing)
        return inputs.flatten(0, 1).permute(0, 3, 1, 2)

    def test_input(self, images: Tensor, positions: Positions) -> Tensor:
        """(N * V, 3, crop, crop) float32: the views at `positions` (V, 3) of each image follow each other."""
        inputs = self._floats(cut(images, self.crop, positions))
        inputs.sub_(self._mean_at(positions, images.device))
        return self._divided(inputs).flatten(0, 1).permute(0, 3, 1, 2)

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
        names = ("side", "crop", "normalization", "mean_position")
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
        """Positions (N or 1, 1, 3) in the mean image, and uint8 squares (N, crop, crop, 3)."""
        data = self.data
        middle = centre(data.side, data.crop)[None]
        if data.cropping == "random-resized":
            area, aspect = data.resized_area, data.resized_aspect
            return middle, random_resized_crop(images, data.crop, randomness, area, aspect, data.mirror)
        positions = random_positions(data.side, data.crop, randomness, data.mirror)
        if data.cropping == "centre":
            positions[..., :2] = middle[..., :2]
        return positions, cut(images, data.crop, positions)[:, 0]

    def _floats(self, squares: Tensor) -> Tensor:
        """`squares` as float32 in the net's order of channels; on a CPU in memory that is used again."""
        if self.channels == "BGR":
            squares = squares.flip(-1)
        if squares.device.type == "cpu":
            return self._buffers.take(tuple(squares.shape), torch.float32).copy_(squares)
        return squares.to(torch.float32)

    def _mean_at(self, positions: Positions, device: torch.device) -> Tensor:
        """What is subtracted, (crop, crop, 3) or with leading axes as `positions` (V, 3) or (N, V, 3) has."""
        if self.mean.ndim == 3 and self.data.mean_position == "crop":
            places = positions if positions.ndim == 3 else positions[None]
            return cut(self.mean.expand(len(places), -1, -1, -1), self.crop, places).to(device)
        if device not in self._central_means:
            middle = centre(self.side, self.crop)
            full = self.mean.expand(self.side, self.side, 3)
            self._central_means[device] = cut(full[None], self.crop, middle)[0, 0].to(device)
        return self._central_means[device]

    def _color_shifts(self, randomness: ImageRandomness) -> Tensor:
        data = self.data
        assert data.color_noise != "none"
        values, vectors = self.eigenvalues.double().numpy(), self.eigenvectors.double().numpy()
        return torch.from_numpy(
            color_shifts(randomness, values, vectors, data.color_noise_strength, data.color_noise)
        )

    def _divided(self, inputs: Tensor, divisor: float = 1.0) -> Tensor:
        """`inputs` (..., crop, crop, 3) divided in place, by the deviations too where they are used."""
        if self.data.normalization == "mean-and-std":
            row = (self.std * divisor).repeat(self.crop).to(inputs.device)
            inputs.flatten(-2).div_(row)
        elif divisor != 1:
            inputs.div_(divisor)
        return inputs


def _axes(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, largest first, and eigenvectors in columns, of signs that do not hang on the library."""
    values, vectors = np.linalg.eigh(covariance)
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(len(values))]
    return values[::-1], (vectors * np.sign(largest))[:, ::-1]


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _apart(name: str, mine: Tensor, theirs: Tensor) -> list[str]:
    """A line where two statistics differ by more than half a grey level, or in kind."""
    if mine.shape != theirs.shape:
        return [f"{name}: shape {tuple(mine.shape)} and {tuple(theirs.shape)}"]
    largest = float((mine - theirs).abs().max())
    return [f"{name}: up to {largest:.1f} grey levels apart"] if largest > 0.5 else []
