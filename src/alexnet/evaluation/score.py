"""What a net says about a few images: the mean over all looks at them, after the softmax."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.data.preprocessing import Preprocessing
from alexnet.data.views import Positions
from alexnet.evaluation.views import Look, Sizes, each_crop
from alexnet.models.model_file import Loaded

SQUARES_AT_ONCE = 256
"""Squares of the net's size (images x views) that it sees in one pass, unless asked otherwise: bounds the
memory."""

Item = TypeVar("Item")


def groups(
    items: Iterable[tuple[Sizes, Item]], looks: Sequence[Look], crop: int, squares: int
) -> Iterator[list[Item]]:
    """The items in groups of equal sizes, in order, none of more than `squares` squares in any look."""
    by_sizes = dict[Sizes, list[Item]]()
    for sizes, item in items:
        by_sizes.setdefault(sizes, []).append(item)
    for sizes, alike in by_sizes.items():
        count = images_at_once(looks, sizes, crop, squares)
        yield from (alike[start : start + count] for start in range(0, len(alike), count))


def images_at_once(looks: Sequence[Look], sizes: Sizes, crop: int, squares: int) -> int:
    """How many images of those sizes make a pass of at most `squares` squares; at least one."""
    most = max(look.view.crops(*size, crop) for look, size in zip(looks, sizes, strict=True))
    return max(1, squares // most)


def score(net: Loaded, looks: Sequence[Look], seen: Sequence[Tensor]) -> npt.NDArray[np.float32]:
    """(N, K) probabilities, on whatever device the model is; `seen` are uint8 (N, H, W, C) for each look.

    Always in float32 and with deterministic kernels. The same images in a batch of another size differ by
    rounding only: by less than 1e-5.
    """
    with testing(net.model) as device:
        rows = [
            look.view.probabilities(net, images.to(device)) for look, images in zip(looks, seen, strict=True)
        ]
        mean = torch.stack(rows).mean(dim=0) if len(rows) > 1 else rows[0]
    return mean.cpu().numpy()


def score_crops(
    model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions
) -> npt.NDArray[np.float32]:
    """(N, V, K) probabilities of each crop by itself, whose means over the crops `score` gives."""
    with testing(model) as device:
        return each_crop(model, preprocessing, images.to(device), positions).cpu().numpy()


@contextmanager
def testing(model: nn.Module) -> Generator[torch.device, None, None]:
    """Evaluation mode, no gradients, deterministic float32 kernels; gives the model's device."""
    was_training = model.training
    model.eval()
    try:
        # Not inference_mode: buffers that preprocessing keeps are used again by training.
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield device_of(model)
    finally:
        model.train(was_training)


def device_of(model: nn.Module) -> torch.device:
    """Where the model is."""
    return next(chain(model.parameters(), model.buffers())).device
