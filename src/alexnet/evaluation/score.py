"""What a net says about a few images, averaged over views after the softmax."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.data.preprocessing import Preprocessing
from alexnet.data.views import VIEWS, Positions
from alexnet.errors import CommandError

SQUARES_AT_ONCE = 256
"""Squares (images x views) the net sees in one pass, unless asked otherwise: bounds the memory."""


def positions_of(views: str, preprocessing: Preprocessing) -> Positions:
    """(V, 3) where the views of that name lie; CommandError names those there are."""
    if views not in VIEWS:
        raise CommandError(f"no views {views!r}; there are {', '.join(VIEWS)}")
    return VIEWS[views](preprocessing.side, preprocessing.crop)


def images_at_once(positions: Positions, squares: int) -> int:
    """How many images make a pass of at most `squares` squares; at least one."""
    return max(1, squares // len(positions))


def score(
    model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions
) -> npt.NDArray[np.float32]:
    """(N, K) probabilities for uint8 `images` (N, S, S, C), on whatever device `model` is.

    Always in float32 and with deterministic kernels. The same images in a batch of another size differ by
    rounding only: by less than 1e-5.
    Source: section 4.1 ("averaging the predictions made by the network's softmax layer on the ten patches").
    """
    with testing(model):
        mean = _by_view(model, preprocessing, images, positions).mean(dim=1)
    return mean.cpu().numpy()


def score_views(
    model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions
) -> npt.NDArray[np.float32]:
    """(N, V, K) probabilities of each view by itself, whose means over the views `score` gives."""
    with testing(model):
        return _by_view(model, preprocessing, images, positions).cpu().numpy()


def _by_view(model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions) -> Tensor:
    """(N, V, K) on the model's device; to be called within `testing`."""
    squares = preprocessing.test_input(images.to(device_of(model)), positions)
    probabilities = torch.softmax(cast(Tensor, model(squares)).float(), dim=1)
    return probabilities.unflatten(0, (len(images), len(positions)))


@contextmanager
def testing(model: nn.Module) -> Generator[torch.device, None, None]:
    """Evaluation mode, no gradients, deterministic float32 kernels; gives the model's device."""
    was_training = model.training
    model.eval()
    try:
        # Not inference_mode: buffers that preprocessing keeps are used again by training.
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield device_of(model)
    finally:
        model.train(was_training)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's tensors are."""
    return next(chain(model.parameters(), model.buffers())).device
