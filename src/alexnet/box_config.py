"""What configurations of nets that learn boxes must agree on, and which of a detector's answers are shown."""

from __future__ import annotations

BOX_NETS = {"boxes": "overfeat-localizer", "objects": "overfeat-detector"}
"""The nets that learn boxes, by their loss (`training.loss`)."""

SLIDING = BOX_NETS["objects"]
"""The net whose window may be smaller than its training crops, and so photos too in a test."""

LEAST_SHOWN = 0.5
"""Probability of an object at a window that has a say in what people are shown, if no other is typed."""


def box_checks(loss: str, net: str, scales: tuple[int, int]) -> list[tuple[bool, str]]:
    """Whether loss, net and `data.scales` go together, and what to say where they do not."""
    together = " or ".join(f"training.loss={each} with model.name={BOX_NETS[each]}" for each in BOX_NETS)
    return [
        (
            BOX_NETS.get(loss, "") == (net if net in BOX_NETS.values() else ""),
            f"training.loss={loss} and model.name={net} do not go together: give {together}",
        ),
        (
            loss not in BOX_NETS or not any(scales),
            "boxes are known of stored squares, not of photos at random scales: type data.scales=[0,0]",
        ),
    ]
