"""Inputs and outputs of the estimators: numpy arrays or tensors in, the same kind out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_matrix(values: Any) -> Tensor:
    """(N, D) tensor of a tensor or anything numpy converts: float64 if the input is float64, else float32.

    ValueError if it has another shape or holds NaN or infinity.
    """
    tensor = values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if tensor.ndim != 2:
        raise ValueError(f"expected an array of shape (N, D), got {tuple(tensor.shape)}")
    tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    if not tensor.isfinite().all():
        raise ValueError("the array holds NaN or infinity")
    return tensor


def in_kind(result: Tensor, given: Any) -> Any:
    """`result` as a tensor if `given` is one, else as a numpy array."""
    return result if isinstance(given, Tensor) else result.cpu().numpy()


def random_rows(rows: Tensor, count: int, seed: int) -> Tensor:
    """(count,) numbers of random rows, each once, on their device; of all rows if there are fewer."""
    return torch.randperm(len(rows), generator=generator(seed))[:count].to(rows.device)


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(seed)
