"""Scheduled events as pure functions of the step: what was done by hand in 2012 happens by itself."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.config import Event


def step_of(event: Event, total_steps: int) -> int:
    """The update before which the event happens."""
    return round(event.at * total_steps)


def starting(events: Sequence[Event], step: int, total_steps: int) -> list[Event]:
    """The events that happen just before update `step`."""
    return [event for event in events if step_of(event, total_steps) == step]


def layer_factors(events: Sequence[Event], step: int, total_steps: int) -> dict[str, float]:
    """Learning-rate factors in force at update `step`, by layer; the latest event of a layer counts."""
    past = sorted(_past(events, step, total_steps, "layer-factor"), key=lambda event: event.at)
    return {event.layer: event.value for event in past}


def color_noise(events: Sequence[Event], step: int, total_steps: int) -> bool:
    """Whether colour noise is on at update `step`."""
    return not _past(events, step, total_steps, "color-noise-off")


def _past(events: Sequence[Event], step: int, total_steps: int, action: str) -> list[Event]:
    return [event for event in events if event.action == action and step_of(event, total_steps) <= step]
