from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from reference.sampling import weighted_loss
from torch.nn import functional

from alexnet.data.loader import Batch
from alexnet.data.store import Store
from alexnet.training.step import training_batch, update
from alexnet.training.train_state import TrainState, balanced_weights, build_train_state

NO_DROPOUT = "model.dropout=0"


def build(store: Store, *settings: str) -> TrainState:
    return build_train_state(tiny.config(*settings), store, torch.device("cpu"), steps_per_epoch=6)


def batch(store: Store, images: int = 8) -> Batch:
    split = store.split("train")
    indices = torch.arange(images) * 5
    pixels = torch.stack(
        [torch.frombuffer(bytearray(split.buffer(int(i))), dtype=torch.uint8) for i in indices]
    )
    labels = torch.tensor(split.labels[indices.numpy()], dtype=torch.int64)
    return Batch(pixels.view(images, 72, 72, 3), labels, indices, torch.arange(images), images)


def after(store: Store, *settings: str, steps: int = 2) -> dict[str, torch.Tensor]:
    trained = build(store, *settings)
    for step in range(steps):
        update(trained, batch(store), 0, step, color_noise=True)
    return trained.model.state_dict()


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_the_gradient_is_that_of_the_mean_loss(tiny_store: Store) -> None:
    trained = build(tiny_store, NO_DROPOUT, "optimizer.name=sgd", "optimizer.momentum=0")
    images, targets = training_batch(trained, batch(tiny_store), 0, True)
    loss = functional.cross_entropy(trained.model(images), targets)
    gradients = torch.autograd.grad(loss, trained.model.get_parameter("fc8.weight"))
    before = trained.model.get_parameter("fc8.weight").detach().clone()
    for group in trained.optimizer.param_groups:
        group["weight_decay"] = 0.0
    outcome = update(trained, batch(tiny_store), 0, 0, True)
    step = before - trained.model.get_parameter("fc8.weight").detach()
    torch.testing.assert_close(step, 0.01 * gradients[0], rtol=1e-3, atol=1e-7)
    assert outcome.loss.item() / 8 == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_micro_batches_give_the_same_update_but_for_rounding(tiny_store: Store, pieces: int) -> None:
    whole = after(tiny_store, NO_DROPOUT)
    split = after(tiny_store, NO_DROPOUT, f"training.grad_accum_steps={pieces}")
    assert largest_difference(whole, split) < 1e-6


def test_a_smaller_batch_has_the_gradient_of_its_own_mean(tiny_store: Store) -> None:
    whole, smaller = build(tiny_store, NO_DROPOUT), build(tiny_store, NO_DROPOUT, "training.batch_size=5")
    for trained in (whole, smaller):
        update(trained, batch(tiny_store, 5), 0, 0, color_noise=True)
    assert largest_difference(whole.model.state_dict(), smaller.model.state_dict()) == 0


@pytest.mark.parametrize("mixing", ["training.mixup=0", "training.label_smoothing=0.1"])
def test_class_weights_give_classes_the_same_weight(tiny_store: Store, mixing: str) -> None:
    settings = (NO_DROPOUT, "training.class_weights=balanced", "data.max_images=0", mixing)
    trained = build(tiny_store, *settings)
    training_labels = [0] * 30 + [1] * 12 + [2] * 6
    trained.class_weights = balanced_weights(np.array(training_labels), 3)
    plain = build(tiny_store, NO_DROPOUT, mixing)
    given = batch(tiny_store)
    images, targets = training_batch(plain, given, 0, True)
    logits = plain.model(images)
    if mixing.endswith("smoothing=0.1"):  # torch's own weights, which count the smoothed part of each class
        wanted = functional.cross_entropy(
            logits, targets, weight=trained.class_weights, reduction="sum"
        ).item()
    else:
        losses = functional.cross_entropy(logits, given.labels, reduction="none").tolist()
        wanted = 8 * weighted_loss(losses, given.labels.tolist(), training_labels)
    assert update(trained, given, 0, 0, True).loss.item() == pytest.approx(wanted, rel=1e-5)


def test_the_mean_weight_of_images_is_one_and_absent_classes_are_allowed() -> None:
    labels = np.array([0] * 7 + [2] * 2 + [3])
    weights = balanced_weights(labels, 5)
    assert float(weights[labels].mean()) == pytest.approx(1)
    assert weights[[1, 4]].tolist() == [1, 1]
    assert float(7 * weights[0]) == pytest.approx(float(2 * weights[2])) == pytest.approx(float(weights[3]))


def test_repeated_images_of_an_epoch_are_augmented_differently(tiny_store: Store) -> None:
    trained = build(tiny_store, "data.sampling=balanced")
    given = replace(batch(tiny_store, 4), indices=torch.full((4,), 3))
    same = given.images[:1].expand(4, -1, -1, -1)
    images, _ = training_batch(trained, replace(given, images=same), 0, True)
    assert not any(torch.equal(images[0], other) for other in images[1:])
    uniform, _ = training_batch(build(tiny_store), replace(given, images=same), 0, True)
    assert all(torch.equal(uniform[0], other) for other in uniform[1:])


def test_a_step_is_a_function_of_seed_and_step(tiny_store: Store) -> None:
    first = after(tiny_store)
    torch.manual_seed(1234)
    again = after(tiny_store)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_dropout_differs_from_step_to_step(tiny_store: Store) -> None:
    outcomes = [update(build(tiny_store), batch(tiny_store), 0, step, True).loss.item() for step in (0, 1)]
    assert outcomes[0] != outcomes[1]


def test_clipping_bounds_the_step(tiny_store: Store) -> None:
    trained = build(tiny_store, "optimizer.gradient_clip=1e-3", "optimizer.weight_decay=0")
    before = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    update(trained, batch(tiny_store), 0, 0, True)
    squares = sum(
        float((tensor - before[name]).square().sum()) for name, tensor in trained.model.state_dict().items()
    )
    # Biases learn at twice the rate.
    assert 0 < squares**0.5 <= 2 * 0.01 * 1e-3 * 1.001


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_gives_similar_results(tiny_store: Store, precision: str) -> None:
    exact = after(tiny_store, NO_DROPOUT)
    rounded = after(tiny_store, NO_DROPOUT, f"training.precision={precision}")
    assert 0 < largest_difference(exact, rounded) < 2e-3
    assert all(tensor.dtype == torch.float32 for tensor in rounded.values())


def test_the_average_follows(tiny_store: Store) -> None:
    trained = build(tiny_store, "training.ema_decay=0.9")
    first = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    update(trained, batch(tiny_store), 0, 0, True)
    for name, tensor in trained.ema.model.state_dict().items():
        torch.testing.assert_close(tensor, first[name].lerp(trained.model.state_dict()[name], 9 / 11))


def test_counts_wrong_predictions(tiny_store: Store) -> None:
    trained = build(tiny_store, NO_DROPOUT)
    trained.model.get_parameter("fc8.bias").data[:] = torch.tensor([100.0, 0.0, 0.0])
    given = batch(tiny_store)
    outcome = update(trained, given, 0, 0, True)
    assert outcome.images == 8
    assert int(outcome.errors) == int((given.labels != 0).sum())


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_stay_and_normalize_as_in_tests(tiny_store: Store, frozen: bool) -> None:
    setting = f"training.frozen_statistics={'yes' if frozen else 'no'}"
    state = build(tiny_store, "model.variant=modern", "model.dropout=0", setting)
    made = batch(tiny_store)
    inputs, targets = training_batch(state, made, 0, color_noise=False)
    state.model.eval()
    with torch.no_grad():
        tested = state.task.loss.forward(state.model(inputs).float(), targets)
    before = {name: value.clone() for name, value in state.model.named_buffers()}
    weights = state.model.get_parameter("conv1.weight").detach().clone()
    outcome = update(state, made, 0, 0, color_noise=False)
    same = [torch.equal(before[name], value) for name, value in state.model.named_buffers()]
    assert before and (all(same) if frozen else not any(same))
    assert not torch.equal(weights, state.model.get_parameter("conv1.weight"))
    assert torch.isclose(outcome.loss, tested, rtol=1e-4).item() == frozen
