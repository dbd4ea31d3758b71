from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.tasks.classification import cutmix, mixed, mixup, soft_targets
from alexnet.training.config import TrainingConfig


def batch(images: int = 6, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.randn(images, 3, 10, 10, generator=torch.Generator().manual_seed(1))
    return pixels, soft_targets(torch.arange(images) % classes, classes, 0.0)


def test_smoothing_spreads_over_all_classes() -> None:
    assert soft_targets(torch.tensor([2]), 4, 0.2)[0].tolist() == pytest.approx([0.05, 0.05, 0.85, 0.05])
    assert soft_targets(torch.tensor([2]), 4, 0.0)[0].tolist() == [0, 0, 1, 0]


@given(st.floats(0, 1))
def test_mixup_is_a_weighted_mean(share: float) -> None:
    images, targets = batch()
    partners = torch.tensor([1, 0, 3, 2, 5, 4])
    mixed_images, mixed_targets = mixup(images, targets, partners, share)
    torch.testing.assert_close(mixed_images[0], share * images[0] + (1 - share) * images[1])
    torch.testing.assert_close(mixed_targets[0], share * targets[0] + (1 - share) * targets[1])


@given(st.floats(0, 1), st.floats(0, 0.999), st.floats(0, 0.999))
def test_cutmix_counts_the_pixels_it_replaces(share: float, row: float, column: float) -> None:
    images, targets = batch()
    partners = torch.tensor([1, 2, 3, 4, 5, 0])
    pasted, pasted_targets = cutmix(images, targets, partners, share, (row, column))
    from_partner = (pasted[0] == images[1]).all(dim=0)
    own = (pasted[0] == images[0]).all(dim=0)
    assert (from_partner | own).all()
    replaced = from_partner.float().mean().item()
    assert pasted_targets[0].tolist() == pytest.approx([1 - replaced, replaced, 0, 0], abs=1e-6)
    assert replaced <= 1 - share + 1e-6


def test_cutmix_in_the_middle_leaves_the_share() -> None:
    images, targets = batch()
    _, pasted_targets = cutmix(images, targets, torch.roll(torch.arange(6), -1), 0.84, (0.5, 0.5))
    assert pasted_targets[0, 0].item() == pytest.approx(0.84)


@given(st.sampled_from([(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)]), st.integers(0, 50))
def test_mixing_is_a_function_of_seed_epoch_and_position(alphas: tuple[float, float], position: int) -> None:
    config = TrainingConfig(mixup=alphas[0], cutmix=alphas[1])
    images, targets = batch()
    first = mixed(images, targets, config, 3, position)
    torch.manual_seed(position)
    again = mixed(images, targets, config, 3, position)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    torch.testing.assert_close(first[1].sum(dim=1), torch.ones(6))
    # Every image is used as a partner once: nothing is lost from the batch.
    torch.testing.assert_close(first[1].sum(dim=0), targets.sum(dim=0), atol=1e-5, rtol=0)


def test_with_both_each_batch_draws_one() -> None:
    config = TrainingConfig(mixup=5.0, cutmix=1.0)
    images, targets = batch()
    corners = [mixed(images, targets, config, 0, position)[0][0, :, 0, 0] for position in range(60)]
    # After CutMix a pixel belongs to one image, after mixup to none.
    cut = [bool((corner == images[:, :, 0, 0]).all(dim=1).any()) for corner in corners]
    assert 15 < sum(cut) < 45


def test_mixing_off_leaves_the_batch_alone() -> None:
    images, targets = batch()
    assert mixed(images, targets, TrainingConfig(), 0, 0) == (images, targets)
