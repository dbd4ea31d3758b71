"""BVLC's AlexNet and CaffeNet in torch's plainest operations, from Caffe's blobs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as f

SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}


def random_blobs(seed: int, classes: int = 1000) -> dict[str, list[np.ndarray]]:
    """Weights that keep the size of what passes through, so that every layer matters, and biases."""
    rng = np.random.default_rng(seed)
    blobs: dict[str, list[np.ndarray]] = {}
    for name, shape in {**SHAPES, "fc8": (classes, 4096)}.items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[1:])) * (0.05 if name == "fc8" else 1))
        weights = rng.standard_normal(shape, np.float32)
        weights *= scale
        blobs[name] = [weights, rng.standard_normal(shape[0], np.float32)]
    return blobs


def probabilities(
    blobs: dict[str, list[np.ndarray]], crop: np.ndarray, mean: np.ndarray, pools_first: bool
) -> np.ndarray:
    """(K,) for one RGB crop (227, 227, 3); `mean` is subtracted from it in BGR."""
    blue_first = crop[:, :, ::-1].astype(np.float32) - mean
    maps = torch.from_numpy(np.ascontiguousarray(blue_first.transpose(2, 0, 1)))[None]
    normalize = torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)

    def part(name: str) -> tuple[Tensor, Tensor]:
        weights, bias = blobs[name]
        return torch.from_numpy(weights), torch.from_numpy(bias)

    def pool(maps: Tensor) -> Tensor:
        return f.max_pool2d(maps, 3, 2)

    def two_groups(name: str, maps: Tensor, padding: int) -> Tensor:
        weights, bias = part(name)
        halves = [
            f.conv2d(half, weights.chunk(2)[i], bias.chunk(2)[i], padding=padding)
            for i, half in enumerate(maps.chunk(2, 1))
        ]
        return torch.cat(halves, 1).relu()

    def between(maps: Tensor) -> Tensor:
        return normalize(pool(maps)) if pools_first else pool(normalize(maps))

    maps = between(f.conv2d(maps, *part("conv1"), stride=4).relu())
    maps = between(two_groups("conv2", maps, 2))
    maps = f.conv2d(maps, *part("conv3"), padding=1).relu()
    maps = pool(two_groups("conv5", two_groups("conv4", maps, 1), 1))
    hidden = f.linear(maps.flatten(1), *part("fc6")).relu()
    hidden = f.linear(hidden, *part("fc7")).relu()
    return f.linear(hidden, *part("fc8")).softmax(1)[0].numpy()
