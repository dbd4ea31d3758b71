"""The events of a run, such as a change of a layer's learning rate: what holds at which update."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.training.config import Event


def step_of(event: Event, total_steps: int) -> int:
    """The update before which the event happens."""
    return round(event.at * total_steps)


def starting(events: Sequence[Event], step: int, total_steps: int) -> list[Event]:
    """The events that happen just before update `step`."""
    return [event for event in events if step_of(event, total_steps) == step]


def lr_multipliers(events: Sequence[Event], step: int, total_steps: int) -> dict[str, float]:
    """Learning-rate multipliers at update `step`, by layer; the latest event of a layer counts."""
    past = sorted(_past(events, step, total_steps, "layer-factor"), key=lambda event: event.at)
    return {event.layer: event.value for event in past}


def bias_factor(events: Sequence[Event], step: int, total_steps: int) -> float:
    """Learning-rate multiplier of all biases at update `step`; the latest event counts."""
    past = sorted(_past(events, step, total_steps, "bias-factor"), key=lambda event: event.at)
    return past[-1].value if past else 1.0


def color_noise(events: Sequence[Event], step: int, total_steps: int) -> bool:
    """Whether color noise is on at update `step`."""
    return not _past(events, step, total_steps, "color-noise-off")


def _past(events: Sequence[Event], step: int, total_steps: int, action: str) -> list[Event]:
    return [event for event in events if event.action == action and step_of(event, total_steps) <= step]
