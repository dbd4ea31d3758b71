"""The update rule, a number at a time, in double precision."""

from __future__ import annotations


def update(
    weights: list[float],
    velocities: list[float],
    gradients: list[float],
    rate: float,
    momentum: float,
    decay: float,
) -> None:
    """Changes `weights` and `velocities` in place."""
    if rate == 0:
        return
    for i in range(len(weights)):
        velocities[i] = momentum * velocities[i] - decay * rate * weights[i] - rate * gradients[i]
        weights[i] = weights[i] + velocities[i]
