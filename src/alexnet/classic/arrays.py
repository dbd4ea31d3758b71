"""Arrays in, arrays out: what the estimators take (numpy or torch) and give back in kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_matrix(values: Any) -> Tensor:
    """(N, D) of a tensor or of anything numpy takes: float32, or float64 where it already is.

    ValueError where it has another shape or holds numbers that are not finite.
    """
    tensor = values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if tensor.ndim != 2:
        raise ValueError(f"wanted an array of shape (N, D), got {tuple(tensor.shape)}")
    tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    if not tensor.isfinite().all():
        raise ValueError("there are numbers that are not finite (NaN or infinity)")
    return tensor


def in_kind(result: Tensor, given: Any) -> Any:
    """`result` as a tensor where `given` is one, else as a numpy array."""
    return result if isinstance(given, Tensor) else result.cpu().numpy()


def generator(seed: int) -> torch.Generator:
    """Random numbers drawn on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(seed)
