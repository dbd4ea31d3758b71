from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from unit.data.store_makers import make_store, row

from alexnet import recipes
from alexnet.config import ConfigError, RunConfig, override
from alexnet.data.box_geometry import to_window
from alexnet.data.loader import Batch, Loader
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.models.model_file import Loaded
from alexnet.models.registry import build
from alexnet.training import losses
from alexnet.training.detection import window_labels
from alexnet.training.inherit import match
from alexnet.training.learner import Learner, build_learner
from alexnet.training.losses import NOT_ASKED, OBJECTS, OFFENDING
from alexnet.training.step import training_batch, update

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


SIDE = 112
SETTINGS = (
    *(f"data.side={SIDE}", "data.crop=96", "data.test_scales=[112]", "training.batch=8"),
    "model.variant=fast widths=[4,6,8,8,8,16,12] initialisation=kaiming regression=[10,6] window=64",
)


def config(*settings: str, recipe: str = "overfeat-fast-detection") -> RunConfig:
    return override(recipes.get(recipe), [*SETTINGS, *settings])


def boxes_of(number: int) -> tuple[Box, ...]:
    left = 0.08 * (number % 5)
    found = Box(number % 3, left, 0.1, left + 0.5, 0.5), Box((number + 1) % 3, 0.55, 0.55, 0.95, 0.95)
    return found[: number % 3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("scenes")
    rows = [row(number, SIDE, boxes=boxes_of(number)) for number in range(16)]
    return Store.open(make_store(folder / "store", {"train": rows, "val": rows[:4]}, side=SIDE))


def learner(store: Store, *settings: str) -> Learner:
    return build_learner(config(*settings), store, torch.device("cpu"), steps_per_epoch=2)


def batch(store: Store) -> Batch:
    return next(iter(Loader(store.split("train"), 16, order="sequential", boxes=True).batches()))


@pytest.mark.parametrize("cropping", ["random", "random-resized"])
def test_targets_name_each_window_of_the_crop(store: Store, cropping: str) -> None:
    made, seen = learner(store, f"data.cropping={cropping}"), batch(store)
    inputs, targets = training_batch(made, seen, epoch=1, color_noise=False)
    windows = made.model.windows(96, 96)
    assert inputs.shape == (16, 3, 96, 96)
    assert targets.shape == (16, 2, 3, 3) == (16, 2, *made.model.places(96, 96))
    randomness = ImageRandomness(0, 1, seen.indices.numpy(), seen.positions.numpy())
    views, mirrored = made.preprocessing.train_windows(SIDE, randomness)
    for number in range(16):
        found = boxes_of(number)
        corners = np.array([box[1:] for box in found]).reshape(-1, 4)
        moved = to_window(corners, views[number], mirrored[number])
        wanted = window_labels(moved, np.array([box.label for box in found], int), windows, BACKGROUND)
        assert targets[number, 0].flatten().tolist() == wanted.tolist()
    assert set(targets[:, 0].unique().tolist()) > {0, 1, 2, BACKGROUND}
    assert 0 <= targets[:, 1].min() < targets[:, 1].max() < 1


def test_an_update_moves_the_classifier_alone_and_lowers_the_loss(store: Store) -> None:
    trained, seen = learner(store, "optimizer.learning_rate=0.05", "model.dropout=0"), batch(store)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    losses = [update(trained, seen, 0, step, color_noise=False).loss.item() for step in range(12)]
    moved = {
        name.partition(".")[0]
        for name, value in trained.model.state_dict().items()
        if not value.equal(before[name])
    }
    assert losses[-1] < losses[0]
    assert moved == {"fc6", "fc7", "fc8", "background"}


def test_wrong_are_images_whose_surest_window_is(store: Store) -> None:
    answers = torch.zeros(4, BACKGROUND + 1, 1, 2)
    answers[:, BACKGROUND] = 3
    answers[0, 1, 0, 1] = 9  # right
    answers[1, 2, 0, 1] = 9  # another class
    answers[2, 0, 0, 0] = 9  # not asked there
    targets = torch.zeros(4, 2, 1, 2)
    targets[:, 0] = BACKGROUND
    targets[:2, 0, 0, 1] = 1
    targets[2, 0, 0, 0] = NOT_ASKED
    targets[3, 0] = NOT_ASKED
    assert learner(store).task.wrong(answers, targets, torch.zeros(4)).item() == 1


def test_it_begins_with_a_localisation_and_nothing_less(store: Store) -> None:
    detector = learner(store).model
    for recipe, fits in (("overfeat-fast-localization", True), ("overfeat-fast", False)):
        begun = config("data.crop=64", recipe=recipe)
        given = Loaded(build(begun.model, 3, 64), begun, store.classes, learner(store).preprocessing, {})
        if fits:
            assert list(match(detector, store.classes, given).new) == ["background.weight", "background.bias"]
        else:
            with pytest.raises(DataError, match="box1 does not learn here and cannot begin anew"):
                match(detector, store.classes, given)


def test_what_does_not_go_together_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.name=overfeat-detector do not go together"):
        config("training.loss=cross-entropy")
    with pytest.raises(ConfigError, match="boxes are known of stored squares"):
        config("data.scales=[112,112]", "data.cropping=random")
    bare = Store.open(make_store(tmp_path / "bare", {"train": [row(0, SIDE)]}, SIDE))
    with pytest.raises(CommandError, match="of the store has no boxes"):
        Loader(bare.split("train"), 1, boxes=True)
