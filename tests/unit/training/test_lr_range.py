from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from matplotlib.figure import Figure

from alexnet import recipes
from alexnet.config import override
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError, Diverged
from alexnet.models import bundle
from alexnet.models.registry import build
from alexnet.report.plots.lr_range import draw_lr_range
from alexnet.training import lr_range
from alexnet.training.lr_range import HIGHEST, LOWEST, RangeTest, range_test
from alexnet.training.run import initialized_config
from alexnet.training.step import update
from alexnet.training.train_state import build_train_state
from alexnet.training.trainer import training_loader
from alexnet.training.transfer import InitFrom

CPU = torch.device("cpu")
STEADY = ("model.dropout=0", "data.normalization=mean-and-std", "optimizer.name=sgd")


def test_the_rate_rises_exponentially_and_losses_are_those_of_training(tiny_store: Store) -> None:
    config = tiny.config(*STEADY)
    found = range_test(config, tiny_store, CPU, updates=8)
    ratios = [after / before for before, after in zip(found.rates, found.rates[1:], strict=False)]
    assert found.rates[0] == LOWEST
    assert ratios == pytest.approx([(HIGHEST / LOWEST) ** (1 / 7)] * len(ratios))
    state = build_train_state(config, tiny_store, CPU, steps_per_epoch=6)
    loader = training_loader(config, tiny_store, CPU)
    batches = [(epoch, batch) for epoch in (0, 1) for batch in loader.batches(epoch)]
    for step, (rate, loss) in enumerate(zip(found.rates, found.losses, strict=True)):
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        epoch, batch = batches[step]
        assert update(state, batch, epoch, step, True).loss.item() / 8 == pytest.approx(loss, rel=1e-6)


def test_the_average_is_corrected_for_its_start(tiny_store: Store) -> None:
    found = range_test(tiny.config(*STEADY), tiny_store, CPU, updates=6)
    for end in range(1, len(found.losses) + 1):
        weights = [0.9 ** (end - 1 - at) for at in range(end)]
        mean = sum(w * loss for w, loss in zip(weights, found.losses, strict=False)) / sum(weights)
        assert found.smoothed[end - 1] == pytest.approx(mean)


def test_stops_where_the_loss_diverges(tiny_store: Store) -> None:
    seen: list[int] = []
    found = range_test(tiny.config(*STEADY), tiny_store, CPU, updates=60, progress=seen.append)
    assert found.diverged
    assert len(found.losses) == sum(seen) < 60


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss() -> None:
    found = RangeTest([0.001, 0.01, 0.1], [2.0, 1.0, 9.0], [2.0, 1.4, 3.0], diverged=True)
    assert found.suggestion == pytest.approx(0.001)


def test_starts_from_the_weights_of_another_model(tiny_store: Store, tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "run", tiny_store)
    weights = run.checkpoints / "last" / "weights.safetensors"
    first = range_test(tiny.config(*STEADY), tiny_store, CPU, InitFrom(weights), updates=1)
    assert first.losses != range_test(tiny.config(*STEADY), tiny_store, CPU, updates=1).losses
    with pytest.raises(CommandError, match="--init-from"):
        range_test(tiny.config("training.fine_tuning=yes"), tiny_store, CPU, updates=1)


def test_starts_as_training_does(tiny_store: Store, tmp_path: Path) -> None:
    """With a last layer that is fitted, and normalized as the source was."""
    weights = tiny.run(tmp_path / "run", tiny_store).checkpoints / "last" / "weights.safetensors"
    config = tiny.config(*STEADY, "data.max_images=24", "training.batch_size=24")
    random, fitted = (
        range_test(
            override(config, [f"training.fit_last_layer={each}"]), tiny_store, CPU, InitFrom(weights), 1
        )
        for each in ("no", "yes")
    )
    assert fitted.losses[0] < 0.5 * random.losses[0]
    source = bundle.load(weights, "cpu")
    source.preprocessing.mean[:] = 50
    other = tmp_path / "other.safetensors"
    bundle.save(other, source)
    assert initialized_config(config, tiny_store, InitFrom(other)).data.color_mean == (50, 50, 50)
    moved = range_test(config, tiny_store, CPU, InitFrom(other), updates=1)
    assert moved.losses != random.losses


@pytest.mark.parametrize(
    ("layers", "is_taken"), [((), True), (("conv2_1", "conv1_1"), True), (("conv2_1",), False)]
)
def test_colors_go_with_the_first_layer_whatever_its_name(
    tiny_store: Store, tmp_path: Path, layers: tuple[str, ...], is_taken: bool
) -> None:
    widths = "model.architecture.widths=[4,4,4,4,4,8,8]"
    config = override(recipes.get("vgg-a"), ["image_size=72", "input_size=64", "scales=[0,0]", widths])
    preprocessing = Preprocessing.from_store(config.data, tiny_store)
    preprocessing.mean[:] = 50
    model = build(config.model, len(tiny_store.classes), 64)
    source = tmp_path / "vgg.safetensors"
    bundle.save(source, bundle.ModelBundle(model, config, tiny_store.classes, preprocessing))
    found = initialized_config(config, tiny_store, InitFrom(source, layers)).data.color_mean
    assert found == ((50, 50, 50) if is_taken else ())


def test_a_first_loss_that_is_not_finite_is_one_line(
    tiny_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any, **named: Any) -> Any:
        return replace(update(*given, **named), loss=torch.tensor(torch.nan))

    monkeypatch.setattr(lr_range, "update", broken)
    with pytest.raises(Diverged, match="the loss of the first update is not finite"):
        range_test(tiny.config(*STEADY), tiny_store, CPU, updates=2)


def test_the_figure_has_both_curves_and_the_suggestion() -> None:
    figure = draw_lr_range([1e-4, 1e-2, 1.0], [2.0, 1.5, 4.0], [2.0, 1.7, 3.0], 1e-3, "net on photos")
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[2.0, 1.5, 4.0], [2.0, 1.7, 3.0]]
    assert list(axes.lines[2].get_xdata()) == [1e-3, 1e-3]
    figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()].count("0.01") == 1
