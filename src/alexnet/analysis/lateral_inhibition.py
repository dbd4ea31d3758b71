"""What response normalization does to a map: a bound on its response, and inhibition by its neighbors.

b_i = a_i / (k + alpha sum_j a_j^2)^beta over the window of map i. A map that is active alone has the response
a / (k + alpha a^2)^beta, which has a maximum; with every other active map in its window it is lower.
Source: paper, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.functional import jacobian

from alexnet.models.layers.fused_kernel import LrnParams
from alexnet.models.layers.local_response_norm import LocalResponseNorm

Values = npt.NDArray[np.float64]
NEIGHBORS = 11
"""Number of maps whose derivatives are shown."""


@dataclass(frozen=True)
class Peak:
    """The highest response of a map that is active alone, and the activity at which it has it."""

    activity: float
    response: float


def peak(params: LrnParams) -> Peak:
    """The maximum of a / (k + alpha a^2)^beta: a^2 = k / (alpha (2 beta - 1)).

    Infinite if beta is 0.5 or less, or alpha is 0: the response then has no maximum.
    """
    if params.beta <= 0.5 or params.alpha <= 0:
        return Peak(math.inf, math.inf)
    square = params.k / (params.alpha * (2 * params.beta - 1))
    activity = math.sqrt(square)
    return Peak(activity, activity / (params.k + params.alpha * square) ** params.beta)


def responses_alone(norm: LocalResponseNorm, activities: Values) -> Values:
    """(N,) responses of a map that has each of (N,) activities while all other maps are 0."""
    maps = torch.zeros(len(activities), NEIGHBORS, 1, 1, dtype=torch.float64)
    maps[:, NEIGHBORS // 2, 0, 0] = torch.from_numpy(activities)
    return norm(maps)[:, NEIGHBORS // 2, 0, 0].numpy()


def derivatives(norm: LocalResponseNorm, activities: Values) -> Values:
    """(C, C): the derivative of each map's response (rows) by each map's activity (columns), by autograd.

    `activities` are (C,), at one position. Below and above the diagonal, within the window, they are negative
    if all activities are positive: an active neighbor inhibits.
    """

    def respond(values: torch.Tensor) -> torch.Tensor:
        return norm(values[None, :, None, None])[0, :, 0, 0]

    found = jacobian(respond, torch.from_numpy(activities))
    assert isinstance(found, torch.Tensor)
    return found.numpy()
