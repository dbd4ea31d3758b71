from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from unit.data.store_makers import make_store, row

from alexnet import recipes
from alexnet.config import ConfigError, RunConfig, override
from alexnet.data.boxes import IGNORED, assign_targets, to_window
from alexnet.data.loader import Batch, Batching, Loader
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build
from alexnet.tasks.detection import OBJECTS, OFFENDING, detection_loss
from alexnet.training.step import training_batch, update
from alexnet.training.train_state import TrainState, build_train_state
from alexnet.training.transfer import match

BACKGROUND = 3
CHANNELS_OUT = 5 * BACKGROUND + 1
WINDOW = np.array([[0.0, 0.0, 0.4, 0.4]])


@pytest.mark.parametrize(
    ("box", "label"),
    [
        ([0.1, 0.1, 0.35, 0.3], 2),  # all of it, and large enough
        ([0.1, 0.1, 0.25, 0.25], IGNORED),  # all of it, but small
        ([0.1, 0.1, 0.12, 0.35], 2),  # slim
        ([0.2, 0.0, 0.45, 0.3], 2),  # four fifths of it
        ([0.2, 0.0, 0.6, 0.4], IGNORED),  # half of it
        ([0.25, 0.0, 0.6, 0.4], BACKGROUND),  # three sevenths of it
        ([0.35, 0.0, 0.8, 0.4], BACKGROUND),  # a ninth of it
        ([0.6, 0.6, 0.9, 0.9], BACKGROUND),
        ([0.0, 0.0, 1.0, 1.0], IGNORED),  # the window is all within it
    ],
)
def test_windows_show_an_object_background_or_neither(box: list[float], label: int) -> None:
    labels, places = assign_targets(np.array([box]), np.array([2]), WINDOW, BACKGROUND)
    assert labels.tolist() == [label]
    wanted = np.array(box) / 0.4 if label == 2 else np.zeros(4)
    assert places[0] == pytest.approx(wanted)


def test_among_several_objects_a_window_shows_the_one_it_overlaps_most() -> None:
    boxes = np.array([[0.0, 0.0, 0.21, 0.1], [0.0, 0.1, 0.4, 0.4], [0.9, 0.9, 1.0, 1.0]])
    windows = np.concatenate([WINDOW, WINDOW + 0.45])
    labels, places = assign_targets(boxes, np.array([0, 1, 2]), windows, BACKGROUND)
    assert labels.tolist() == [1, BACKGROUND]
    assert places == pytest.approx(np.array([[0, 0.25, 1, 1], [0, 0, 0, 0]]))
    labels, places = assign_targets(np.empty((0, 4)), np.empty(0, int), windows, BACKGROUND)
    assert labels.tolist() == [BACKGROUND, BACKGROUND]
    assert places.shape == (2, 4)


def naive(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """The loss, image by image, with sorted lists."""
    total = 0.0
    for output, wanted in zip(outputs.flatten(2), targets.flatten(2), strict=True):
        labels, draws = wanted[0].long().tolist(), wanted[1].tolist()
        logits, corners = output[: BACKGROUND + 1], output[BACKGROUND + 1 :].view(BACKGROUND, 4, -1)
        each = [
            float(functional.cross_entropy(logits[:, p], torch.tensor(label))) if label != IGNORED else 0.0
            for p, label in enumerate(labels)
        ]
        shown = [p for p, label in enumerate(labels) if label not in (IGNORED, BACKGROUND)]
        empty = [p for p, label in enumerate(labels) if label == BACKGROUND]
        learned, random = (sorted(some, key=lambda p: -draws[p])[:OBJECTS] for some in (shown, empty))
        worst = sorted(empty, key=lambda p: -each[p])[:OFFENDING]
        chosen = {*learned, *random, *worst}
        total += sum(each[p] for p in chosen) / max(len(chosen), 1)
        apart = [float((corners[labels[p], :, p] - wanted[2:, p]).square().sum()) for p in learned]
        total += sum(apart) / max(len(apart), 1)
    return total


def random_targets(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    others = torch.rand(len(labels), 5, *labels.shape[1:], generator=generator)
    return torch.cat([labels[:, None], others], dim=1)


@pytest.mark.parametrize("places", [1, 3, 6])
def test_the_loss_takes_objects_random_background_and_the_worst_of_it(places: int) -> None:
    generator = torch.Generator().manual_seed(places)
    outputs = 3 * torch.randn(7, CHANNELS_OUT, places, places, generator=generator)
    labels = torch.randint(IGNORED, BACKGROUND + 1, (7, places, places), generator=generator).float()
    labels[0], labels[1], labels[2] = IGNORED, BACKGROUND, 1
    targets = random_targets(labels, generator)
    assert float(detection_loss(outputs, targets)) == pytest.approx(naive(outputs, targets), rel=1e-5)


def test_windows_that_are_left_out_have_no_gradient_and_background_has_no_box() -> None:
    outputs = torch.zeros(1, CHANNELS_OUT, 1, 3, requires_grad=True)
    targets = random_targets(torch.tensor([[[IGNORED, BACKGROUND, 1.0]]]), torch.Generator().manual_seed(0))
    detection_loss(outputs, targets).backward()
    logits, boxes = outputs.grad.split([BACKGROUND + 1, 4 * BACKGROUND], dim=1)
    assert not logits[..., 0].any()
    assert logits[..., 1:].all()
    moved = boxes.unflatten(1, (BACKGROUND, 4)).any(dim=2)[0, :, 0]
    assert moved.tolist() == [[False, False, False], [False, False, True], [False, False, False]]


SIDE = 112
SETTINGS = (
    *(f"data.image_size={SIDE}", "data.input_size=96", "data.test_scales=[112]", "training.batch_size=8"),
    "model.variant=fast",
    "model.architecture.widths=[4,6,8,8,8,16,12]",
    "model.architecture.initialization=kaiming",
    "model.architecture.regression=[10,6]",
    "model.architecture.window=64",
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


def new_state(store: Store, *settings: str) -> TrainState:
    return build_train_state(config(*settings), store, torch.device("cpu"), steps_per_epoch=2)


def batch(store: Store) -> Batch:
    return next(iter(Loader(store.split("train"), Batching(16, order="sequential"), boxes=True).batches()))


@pytest.mark.parametrize("cropping", ["random", "random-resized"])
def test_targets_name_each_window_of_the_crop(store: Store, cropping: str) -> None:
    made, seen = new_state(store, f"data.cropping={cropping}"), batch(store)
    inputs, targets = training_batch(made, seen, epoch=1, color_noise=False)
    windows = made.model.windows(96, 96)
    assert inputs.shape == (16, 3, 96, 96)
    assert targets.shape == (16, 6, 3, 3) == (16, 6, *made.model.places(96, 96))
    randomness = ImageRandomness(0, 1, seen.indices.numpy(), seen.positions.numpy())
    views, mirrored = made.preprocessing.train_windows(SIDE, randomness)
    for number in range(16):
        found = boxes_of(number)
        corners = np.array([box[1:] for box in found]).reshape(-1, 4)
        moved = to_window(corners, views[number], mirrored[number])
        named = np.array([box.label for box in found], int)
        labels, places = assign_targets(moved, named, windows, BACKGROUND)
        assert targets[number, 0].flatten().tolist() == labels.tolist()
        assert targets[number, 2:].flatten(1).T.numpy() == pytest.approx(places, abs=1e-6)
    assert set(targets[:, 0].unique().tolist()) > {0, 1, 2, BACKGROUND}
    assert 0 <= targets[:, 1].min() < targets[:, 1].max() < 1


def test_an_update_moves_all_layers_and_lowers_the_loss(store: Store) -> None:
    trained, seen = new_state(store, "optimizer.lr=0.05", "model.dropout=0"), batch(store)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    losses = [update(trained, seen, 0, step, color_noise=False).loss.item() for step in range(12)]
    moved = {
        name.partition(".")[0]
        for name, value in trained.model.state_dict().items()
        if not value.equal(before[name])
    }
    assert losses[-1] < losses[0]
    assert moved == {name.partition(".")[0] for name in before}


def test_wrong_are_images_whose_surest_window_is(store: Store) -> None:
    outputs = torch.zeros(4, CHANNELS_OUT, 1, 2)
    outputs[:, BACKGROUND] = 3
    outputs[:, BACKGROUND + 1 :] = 99  # boxes: they name nothing
    outputs[0, 1, 0, 1] = 9  # right
    outputs[1, 2, 0, 1] = 9  # another class
    outputs[2, 0, 0, 0] = 9  # not requested there
    targets = torch.zeros(4, 6, 1, 2)
    targets[:, 0] = BACKGROUND
    targets[:2, 0, 0, 1] = 1
    targets[2, 0, 0, 0] = IGNORED
    targets[3, 0] = IGNORED
    assert new_state(store).task.num_errors(outputs, targets, torch.zeros(4)).item() == 1


@pytest.mark.parametrize(
    ("recipe", "new"),
    [
        ("overfeat-fast-localization", {"background"}),
        ("overfeat-fast", {"background", "box1", "box2", "boxes"}),
    ],
)
def test_it_is_initialized_from_a_localizer_or_a_classifier(store: Store, recipe: str, new: set[str]) -> None:
    begun = config("data.input_size=64", recipe=recipe)
    given = ModelBundle(build(begun.model, 3, 64), begun, store.classes, new_state(store).preprocessing, {})
    found = match(new_state(store).model, store.classes, given)
    assert {name.partition(".")[0] for name in found.new} == new


def test_a_window_of_another_size_than_the_localizations_is_named(store: Store) -> None:
    begun = config("data.input_size=64", recipe="overfeat-fast-localization")
    given = ModelBundle(build(begun.model, 3, 64), begun, store.classes, new_state(store).preprocessing, {})
    model = new_state(store, "model.architecture.window=0").model
    with pytest.raises(DataError, match=r"those of this model 96: type model.architecture.window=64"):
        match(model, store.classes, given)


def test_what_does_not_go_together_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.name=overfeat-detector do not fit together"):
        config("training.loss=cross-entropy")
    with pytest.raises(ConfigError, match="boxes are known for stored squares"):
        config("data.scales=[112,112]", "data.cropping=random")
    assert config("data.test_scales=[64]").data.input_size == 96  # a window is smaller
    with pytest.raises(CommandError, match="must be 64 or more, the pixels of the window"):
        new_state(store, "data.test_scales=[63,112]")
    bare = Store.open(make_store(tmp_path / "bare", {"train": [row(0, SIDE)]}, SIDE))
    with pytest.raises(CommandError, match="of the store has no boxes"):
        Loader(bare.split("train"), Batching(1), boxes=True)
