"""Training of localization: used windows, targets, and that only boxes are trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from unit.data.store_makers import make_store, row

from alexnet import recipes
from alexnet.config import ConfigError, RunConfig, override
from alexnet.data.boxes import Boxes, covered, to_window
from alexnet.data.loader import Batch, Batching, Loader
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.localization import Localization, box_loss
from alexnet.training.step import update
from alexnet.training.train_state import TrainState, build_train_state, check_network
from alexnet.training.trainer import TrainOptions, train_network
from alexnet.training.transfer import match, transfer

SETTINGS = (
    *(
        "data.image_size=72",
        "data.input_size=64",
        "data.test_scales=[64,80]",
        "training.batch_size=8",
        "schedule.epochs=1",
    ),
    "model.variant=fast",
    "model.architecture.widths=[4,6,8,8,8,16,12]",
    "model.architecture.initialization=kaiming",
    "model.architecture.regression=[10,6]",
)


def config(*settings: str) -> RunConfig:
    return override(recipes.get("overfeat-fast-localization"), [*SETTINGS, *settings])


def box_of(number: int) -> Box:
    """Somewhere else in each photo; that of the last is too near the border for many windows."""
    left = 0.08 * (number % 8)
    return Box(number % 3, left, 0.2, left + 0.4, 0.7)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("boxes")
    rows = [row(number, 72, boxes=(box_of(number),) if number else ()) for number in range(16)]
    return Store.open(make_store(folder / "store", {"train": rows, "val": rows[:4]}, side=72))


def new_state(store: Store, *settings: str) -> TrainState:
    return build_train_state(config(*settings), store, torch.device("cpu"), steps_per_epoch=2)


def batch(store: Store) -> Batch:
    return next(iter(Loader(store.split("train"), Batching(16, order="sequential"), boxes=True).batches()))


def test_targets_are_boxes_in_windows_and_windows_that_show_too_little_do_not_count(store: Store) -> None:
    preprocessing = Preprocessing.from_store(config("data.resized_area=[0.2,0.5]").data, store)
    task = Localization(config(), 3)
    seen, counted = batch(store), 0
    for epoch in range(3):
        randomness = ImageRandomness(0, epoch, seen.indices.numpy(), seen.positions.numpy())
        _, targets = task.targets(torch.zeros(16, 3, 64, 64), seen, randomness, preprocessing)
        windows, mirrored = preprocessing.train_windows(72, randomness)
        for number, (label, weight, *found) in enumerate(targets.tolist()):
            corners = np.array(box_of(number)[1:])
            used = number > 0 and covered(corners, windows[number]) >= 0.5
            assert (label, weight) == (number % 3, float(used))
            if number:
                assert found == pytest.approx(to_window(corners, windows[number], mirrored[number]), abs=1e-5)
            counted += used
    assert 0 < counted < 45


def test_the_loss_is_the_squared_distance_of_the_classs_own_box() -> None:
    outputs = torch.zeros(3, 2, 4)
    outputs[0, 1] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    outputs[1, 0] = 1.0
    targets = torch.tensor([[1, 1, 0.0, 0.0, 0.3, 0.6], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0.5]])
    assert box_loss(outputs, targets).item() == pytest.approx(0.01 + 0.04 + 0.04 + 0.25)


def test_wrong_are_the_boxes_that_overlap_by_less_than_half(store: Store) -> None:
    task = new_state(store).task
    outputs = torch.tensor([[0, 0, 1, 1], [0, 0, 0.49, 1], [0, 0, 0.51, 1], [5, 5, 4, 4], [0, 0, 0, 0]])
    weights = torch.tensor([1, 1, 1, 1, 0])
    targets = torch.cat([torch.zeros(5, 1), weights[:, None], torch.tensor([0, 0, 1, 1.0]).expand(5, 4)], 1)
    labels = torch.zeros(5, dtype=torch.int64)
    assert task.num_errors(outputs[:, None].expand(5, 3, 4), targets, labels).item() == 2


def test_an_update_moves_the_boxes_alone_and_lowers_the_loss(store: Store) -> None:
    trained, seen = new_state(store, "optimizer.lr=0.05"), batch(store)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    losses = [update(trained, seen, 0, step, color_noise=False).loss.item() for step in range(12)]
    moved = {name for name, value in trained.model.state_dict().items() if not value.equal(before[name])}
    assert losses[-1] < 0.7 * losses[0]
    assert moved == {f"{layer}.{kind}" for layer in ("box1", "box2", "boxes") for kind in ("weight", "bias")}


def given(store: Store, *settings: str, classes: slice = slice(None)) -> ModelBundle:
    begun = override(recipes.get("overfeat-fast"), [*SETTINGS[:3], *SETTINGS[-3:], *settings])
    chosen = store.classes[classes]
    torch.manual_seed(4)
    model = build(begun.model, len(chosen), 64)
    return ModelBundle(model, begun, chosen, Preprocessing.from_store(begun.data, store), {})


def test_it_is_initialized_from_a_complete_classifier(store: Store) -> None:
    model, net = new_state(store).model, given(store)
    found = transfer(model, store.classes, net)
    assert set(found.copied) == set(net.model.state_dict())
    assert {name.partition(".")[0] for name in found.new} == {"box1", "box2", "boxes"}
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert model.eval()(images) == pytest.approx(net.model.eval()(images))


def test_frozen_layers_output_the_same_where_images_are_normalized_otherwise(
    store: Store,
) -> None:
    """The classifier was trained on another store, of other colors and contrast."""
    made, begun = new_state(store), given(store)
    other = made.preprocessing
    begun = replace(
        begun,
        preprocessing=replace(other, mean=other.mean + torch.tensor([9.0, -7.0, 4.0]), std=1.5 * other.std),
    )
    before = begun.model.conv1.weight.clone()
    transfer(made.model, store.classes, begun, preprocessing=made.preprocessing)
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        wanted = begun.model.eval()(begun.preprocessing.whole_input(images))
        found = made.model.eval()(made.preprocessing.whole_input(images))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.std()))
    assert begun.model.conv1.weight.equal(before)
    transfer(made.model, store.classes, begun)
    assert made.model.conv1.weight.equal(before)


def test_a_classifier_of_other_classes_is_refused(store: Store) -> None:
    with pytest.raises(DataError, match="fc8 is frozen here and cannot keep its initial weights"):
        match(new_state(store).model, store.classes, given(store, classes=slice(None, None, -1)))


def test_a_classifier_of_another_dropout_is_refused(store: Store) -> None:
    with pytest.raises(CommandError, match=r"type model\.dropout=0\.5"):
        match(new_state(store, "model.dropout=0.2").model, store.classes, given(store))


def test_the_loop_trains_boxes(store: Store, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", config("training.fine_tuning=no", "training.log_every_steps=1"))
    result = train_network(
        run.config(),
        store,
        run,
        evaluate=lambda model: {"top1_error": 0.5},
        options=TrainOptions(device=torch.device("cpu")),
    )
    lines = [line for line in read_metrics(run.metrics_file) if line["event"] == "train"]
    assert (result.step, len(lines)) == (2, 2)
    assert all(0 <= line["error"] <= 1 and line["loss"] > 0 for line in lines)


def test_a_store_without_boxes_is_one_clear_line(tmp_path: Path) -> None:
    rows = [row(number, 72) for number in range(8)]
    bare = Store.open(make_store(tmp_path / "store", {"train": rows, "val": rows[:4]}, side=72))
    run = RunDir.create(tmp_path / "run", config("training.fine_tuning=no"))
    with pytest.raises(CommandError, match="'train' of the store has no boxes"):
        check_network(run.config(), bare)  # this is checked before a run directory exists
    with pytest.raises(CommandError, match="has no boxes"):
        train_network(
            run.config(),
            bare,
            run,
            evaluate=lambda model: {},
            options=TrainOptions(device=torch.device("cpu")),
        )


@pytest.mark.parametrize(
    "setting", ["training.loss=cross-entropy", "model.name=overfeat", "data.scales=[64,72]"]
)
def test_what_does_not_go_with_boxes(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"training\.loss=boxes|data\.scales"):
        config(setting)


def test_padded_boxes_of_a_batch_are_not_taken_for_boxes() -> None:
    empty = Boxes(torch.zeros(2, 1, 4), torch.full((2, 1), -1))
    assert empty.largest(torch.tensor([0, 1]))[1].tolist() == [False, False]
