from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
import torch

from alexnet import distributed
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.training.config import Event
from alexnet.training.train_state import TrainState, build_train_state, check_network, load_weights

BATCHNORM = (
    "model.variant=modern",
    "model.architecture.widths=[8,8,8,8,8,32,32]",
)
CPU = torch.device("cpu")


def build(store: Store, *settings: str) -> TrainState:
    return build_train_state(tiny.config(*settings), store, CPU, steps_per_epoch=6)


def weights(state: TrainState) -> dict[str, torch.Tensor]:
    return state.model.state_dict()


def test_first_weights_are_a_function_of_the_seed(tiny_store: Store) -> None:
    first = build(tiny_store)
    torch.rand(3)
    again, other = build(tiny_store), build(tiny_store, "training.seed=1")
    assert all(torch.equal(weights(first)[name], weights(again)[name]) for name in weights(first))
    assert not torch.equal(weights(first)["fc6.weight"], weights(other)["fc6.weight"])


def test_the_last_layer_has_the_stores_classes(tiny_store: Store) -> None:
    assert weights(build(tiny_store))["fc8.weight"].shape[0] == tiny.CLASSES


def test_a_checkpoint_of_another_model_is_refused_in_one_line(tiny_store: Store) -> None:
    narrow = build(tiny_store, "model.variant=one-weird-trick", "model.architecture.widths=[8,8,8,8,8,16,16]")
    with pytest.raises(CommandError, match=r"fc6\.weight is 16x288 in these weights, 32x288 in this model"):
        load_weights(build(tiny_store).model, weights(narrow))
    towers = {name: tensor for name, tensor in weights(narrow).items() if name != "fc8.bias"}
    with pytest.raises(CommandError, match=r"fc8\.bias is missing in these weights"):
        load_weights(narrow.model, towers)


def test_what_does_not_fit_is_found_without_computing(tiny_store: Store) -> None:
    assert next(check_network(tiny.config(), tiny_store).parameters()).device.type == "meta"
    with pytest.raises(CommandError, match="side"):
        check_network(tiny.config("data.image_size=100"), tiny_store)
    with pytest.raises(CommandError, match="nearest is 'fc8'"):
        check_network(tiny.config('optimizer.lr_multipliers=[["fc9", 0.1]]'), tiny_store)


@pytest.mark.parametrize(
    ("batch", "micro_batches", "processes", "works"),
    [
        (1, 1, 1, "training.batch_size=2"),
        (8, 8, 1, "training.grad_accum_steps=4"),
        (5, 3, 1, "training.grad_accum_steps=2"),
        (2, 1, 2, "training.batch_size=4"),
        (3, 1, 2, "training.batch_size=4"),
        (8, 4, 2, "training.grad_accum_steps=2"),
    ],
)
def test_batch_normalization_needs_two_images_in_every_micro_batch(
    batch: int,
    micro_batches: int,
    processes: int,
    works: str,
    tiny_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    settings = [f"training.batch_size={batch}", f"training.grad_accum_steps={micro_batches}"]
    with pytest.raises(CommandError, match=f"type {works}$"):
        check_network(tiny.config(*BATCHNORM, *settings), tiny_store)
    check_network(tiny.config(*BATCHNORM, *settings, works), tiny_store)
    check_network(tiny.config(*settings), tiny_store)  # without batch normalization one image is enough


@pytest.mark.parametrize(
    ("batch", "micro_batches", "images", "works"),
    [(1, 1, 48, "batch_size=2"), (2, 1, 47, "batch_size=3"), (5, 3, 48, "grad_accum_steps=2")],
)
def test_even_batches_have_two_images_in_every_micro_batch(
    batch: int, micro_batches: int, images: int, works: str, tiny_store: Store
) -> None:
    settings = [
        *(*BATCHNORM, "training.last_batch=keep", f"data.max_images={images}"),
        *(f"training.batch_size={batch}", f"training.grad_accum_steps={micro_batches}"),
    ]
    with pytest.raises(CommandError, match=f"type training.{works}$"):
        check_network(tiny.config(*settings), tiny_store)
    check_network(tiny.config(*settings, f"training.{works}"), tiny_store)


def test_images_of_one_color_are_refused(tiny_store: Store) -> None:
    """Stores of earlier versions may have them."""
    black = replace(tiny_store.manifest, color_covariance=3 * ((0.0, 0.0, 0.0),))
    with pytest.raises(DataError, match=r"all photos of train in .* are alike"):
        check_network(tiny.config(), Store(tiny_store.path, black, mapped=True))


def test_events_name_layers_that_are_there(tiny_store: Store) -> None:
    config = tiny.config('events=[{"at": 0.5, "action": "layer-factor", "layer": "conv7", "value": 0}]')
    assert config.events == (Event(0.5, "layer-factor", "conv7", 0.0),)
    with pytest.raises(CommandError, match="no layer 'conv7'"):
        check_network(config, tiny_store)


def test_the_state_holds_tensors_and_plain_values_only(tiny_store: Store) -> None:
    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(plain(key) and plain(each) for key, each in value.items())
        if isinstance(value, list | tuple):
            return all(plain(each) for each in value)
        return value is None or isinstance(value, torch.Tensor | str | int | float | bool)

    for settings in (
        [],
        ["training.ema_decay=0.9"],
        ["optimizer.name=adamw"],
        ["schedule.name=plateau"],
    ):
        assert plain(build(tiny_store, *settings).state())
