"""The constants each recipe quotes from its source."""

from __future__ import annotations

import pytest

from alexnet import recipes
from alexnet.config import RunConfig
from alexnet.models.layers.init import shapes_only
from alexnet.models.registry import build_run
from alexnet.optim.param_groups import make_optimizer, set_learning_rates
from alexnet.optim.schedules import make_schedule
from alexnet.training import events


def test_2012_is_net_145() -> None:
    config = recipes.get("alexnet-2012")
    assert (config.data.image_size, config.data.input_size, config.data.images_per_draw) == (256, 224, 32)
    assert (config.data.pca_lighting, config.data.pca_lighting_strength) == ("source", 0.1)
    assert (config.data.normalization, config.data.mean_position) == ("mean-image", "center")
    assert config.data.order == "once"
    optimizer = config.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.01, 0.9, 0.0005)
    assert optimizer.bias_lr_multiplier == 2
    assert (optimizer.bias_weight_decay, optimizer.bias_follows_schedule) == (False, False)
    assert (config.schedule.name, config.schedule.factor, config.schedule.max_drops) == ("plateau", 0.1, 3)
    assert config.training.batch_size == 128
    assert [round(event.at * config.schedule.epochs) for event in config.events] == [67, 67, 72]
    assert [event.action for event in config.events] == ["layer-factor", "color-noise-off", "layer-factor"]
    assert config.events[-1].value == 0


def test_paper_follows_the_text() -> None:
    config = recipes.get("alexnet-paper")
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.01, 0.9)
    assert (config.optimizer.weight_decay, config.training.batch_size) == (0.0005, 128)
    assert (config.schedule.epochs, config.data.pca_lighting) == (90, "paper")
    assert config.model.dropout == 0.5
    assert not config.events


@pytest.mark.parametrize(("name", "updates"), [("alexnet-caffe", 360_000), ("caffenet", 310_000)])
def test_caffe_trains_as_long_as_in_its_solver(name: str, updates: int) -> None:
    config = recipes.get(name)
    epoch = 1_281_167 // config.training.batch_size
    assert config.schedule.epochs * epoch == pytest.approx(updates, rel=0.01)
    assert config.schedule.step_epochs * epoch == pytest.approx(100_000, rel=0.01)
    assert (config.training.batch_size, config.data.input_size) == (256, 227)


def test_torchvision_is_the_stock_recipe() -> None:
    config = recipes.get("alexnet-torchvision")
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.01, 0.9)
    assert (optimizer.weight_decay, optimizer.bias_weight_decay) == (1e-4, True)
    assert optimizer.bias_lr_multiplier == 1
    assert (config.data.cropping, config.data.resized_area) == ("random-resized", (0.08, 1.0))
    assert (config.schedule.name, config.schedule.step_epochs, config.schedule.epochs) == ("step", 30, 90)


def test_star_is_fine_tuned_as_net_146_was() -> None:
    config = recipes.get("alexnet-2012-star")
    assert (config.model.variant, config.training.fine_tuning) == ("2012-star", True)
    assert config.optimizer.lr == 0.001
    assert dict(config.optimizer.lr_multipliers) == {"conv1": 0.1}
    assert config.optimizer.lr * config.optimizer.bias_lr_multiplier == pytest.approx(0.02)
    assert (config.schedule.epochs, config.schedule.max_drops) == (54, 2)
    updates = 54 * (1_281_167 // 128)
    assert round(config.events[0].at * updates) == 300
    epochs = [(event.action, event.layer, event.value, event.at * 54) for event in config.events[1:]]
    assert epochs == [
        ("layer-factor", "conv1", 0.1, pytest.approx(5)),
        ("layer-factor", "conv1", 0.0, pytest.approx(7)),
        ("layer-factor", "fc8", 1.0, pytest.approx(9)),
        ("color-noise-off", "", 0.0, pytest.approx(38)),
    ]
    assert (config.events[0].layer, config.events[0].value) == ("fc8", 10)


def rates_after(config: RunConfig, share: float) -> dict[tuple[str, str], float]:
    """Learning rates by layer and kind when this share of the schedule has passed, without plateaus."""
    with shapes_only():
        optimizer = make_optimizer(build_run(config, 1000), config.optimizer)
    total = 90_000
    step = int(share * total)
    schedule = make_schedule(config.schedule, config.optimizer.lr, total // config.schedule.epochs, total)
    set_learning_rates(
        optimizer,
        schedule.learning_rate(step),
        schedule.first_rate,
        events.lr_multipliers(config.events, step, total),
        events.bias_factor(config.events, step, total),
    )
    return {(group["layer"], group["kind"]): group["lr"] for group in optimizer.param_groups}


def test_biases_of_star_end_as_in_net_146() -> None:
    rates = rates_after(recipes.get("alexnet-2012-star"), 0.9)
    found = {layer: rate for (layer, kind), rate in rates.items() if kind == "bias"}
    assert found.pop("conv6") == pytest.approx(0.022)
    assert found.pop("conv1") == 0 and rates["conv1", "weight"] == 0
    assert found == pytest.approx(dict.fromkeys(found, 0.02))


def test_one_weird_tricks_biases_fall_once_by_10_and_its_weights_by_250_as_in_net_170() -> None:
    config = recipes.get("alexnet-one-weird-trick")
    first, before, after, last = (rates_after(config, share) for share in (0.0, 0.499, 0.501, 0.999))
    assert first["conv2", "weight"] / last["conv2", "weight"] == pytest.approx(250)
    assert [each["conv2", "bias"] for each in (first, before)] == pytest.approx([0.02, 0.02])
    assert [each["conv2", "bias"] for each in (after, last)] == pytest.approx([0.002, 0.002])


def test_star_is_pre_trained_as_2012_but_for_the_schedule() -> None:
    star, plain = recipes.get("alexnet-2012-star-pretrain"), recipes.get("alexnet-2012")
    assert (star.data, star.optimizer) == (plain.data, plain.optimizer)
    assert (star.schedule.step_epochs, star.schedule.epochs) == (6, 8)
    assert not star.training.fine_tuning
