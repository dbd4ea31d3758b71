from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from alexnet.training import losses
from alexnet.training.detection import window_labels
from alexnet.training.losses import NOT_ASKED, OBJECTS, OFFENDING

BACKGROUND = 3
WINDOW = np.array([[0.0, 0.0, 0.4, 0.4]])


@pytest.mark.parametrize(
    ("box", "label"),
    [
        ([0.1, 0.1, 0.35, 0.3], 2),  # all of it, and large enough
        ([0.1, 0.1, 0.25, 0.25], NOT_ASKED),  # all of it, but small
        ([0.1, 0.1, 0.12, 0.35], 2),  # slim
        ([0.2, 0.0, 0.45, 0.3], 2),  # four fifths of it
        ([0.2, 0.0, 0.6, 0.4], NOT_ASKED),  # half of it
        ([0.35, 0.0, 0.8, 0.4], BACKGROUND),  # a ninth of it
        ([0.6, 0.6, 0.9, 0.9], BACKGROUND),
        ([0.0, 0.0, 1.0, 1.0], NOT_ASKED),  # the window is all within it
    ],
)
def test_what_a_window_shows(box: list[float], label: int) -> None:
    assert window_labels(np.array([box]), np.array([2]), WINDOW, BACKGROUND).tolist() == [label]


def test_of_several_objects_a_window_shows_the_one_it_overlaps_most() -> None:
    boxes = np.array([[0.0, 0.0, 0.21, 0.1], [0.0, 0.1, 0.4, 0.4], [0.9, 0.9, 1.0, 1.0]])
    windows = np.concatenate([WINDOW, WINDOW + 0.45])
    assert window_labels(boxes, np.array([0, 1, 2]), windows, BACKGROUND).tolist() == [1, BACKGROUND]
    nothing = window_labels(np.empty((0, 4)), np.empty(0, int), windows, BACKGROUND)
    assert nothing.tolist() == [BACKGROUND, BACKGROUND]


def naive(answers: torch.Tensor, targets: torch.Tensor) -> float:
    """The loss, image by image, with sorted lists."""
    total = 0.0
    for logits, (labels, draws) in zip(answers.flatten(2), targets.flatten(2), strict=True):
        each = [
            float(functional.cross_entropy(logits[:, place], labels[place].long()))
            if labels[place] != NOT_ASKED
            else 0.0
            for place in range(len(labels))
        ]
        shown = [p for p in range(len(labels)) if labels[p] not in (NOT_ASKED, BACKGROUND)]
        empty = [p for p in range(len(labels)) if labels[p] == BACKGROUND]
        by_draw = [sorted(some, key=lambda p: -float(draws[p]))[:OBJECTS] for some in (shown, empty)]
        worst = sorted(empty, key=lambda p: -each[p])[:OFFENDING]
        chosen = {*by_draw[0], *by_draw[1], *worst}
        total += sum(each[p] for p in chosen) / max(len(chosen), 1)
    return total


@pytest.mark.parametrize("places", [1, 3, 6])
def test_the_loss_takes_objects_random_background_and_the_worst_of_it(places: int) -> None:
    generator = torch.Generator().manual_seed(places)
    answers = 3 * torch.randn(7, BACKGROUND + 1, places, places, generator=generator)
    labels = torch.randint(NOT_ASKED, BACKGROUND + 1, (7, places, places), generator=generator).float()
    labels[0], labels[1], labels[2] = NOT_ASKED, BACKGROUND, 1
    targets = torch.stack([labels, torch.rand(7, places, places, generator=generator)], dim=1)
    assert float(losses.objects(answers, targets)) == pytest.approx(naive(answers, targets), rel=1e-5)


def test_windows_that_are_not_asked_have_no_gradient() -> None:
    answers = torch.zeros(1, BACKGROUND + 1, 1, 2, requires_grad=True)
    targets = torch.tensor([[[[NOT_ASKED, 0.0]], [[0.9, 0.1]]]])
    loss = losses.objects(answers, targets)
    assert float(loss.detach()) == pytest.approx(math.log(BACKGROUND + 1))
    loss.backward()
    assert not answers.grad[..., 0].any()
    assert answers.grad[..., 1].any()
