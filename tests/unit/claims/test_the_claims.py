"""The claims as data: all eleven, each with bands that say something and arms that differ in one thing."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from alexnet.errors import CommandError
from alexnet.experiments import claim_registry
from alexnet.experiments.claim_registry import CLAIMS, SAME_COST, find, multiply_adds
from alexnet.experiments.claim_results import band_of, readme
from alexnet.experiments.claims import LEAST_SEEDS, Arm, Claim
from alexnet.experiments.defaults import arm_config, common
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture
from alexnet.models.registry import build_run
from alexnet.models.summary import summarize_model
from alexnet.report.claims import ORDER
from alexnet.training.resume import differences

RESULTS = Path(__file__).parents[3] / "results" / "claims"
ARMS = list(dict.fromkeys(arm for claim in CLAIMS for arm in claim.arms))

POOLED = ("conv2", "conv5")
"""Layers left out whose pooling moves to the layer before them."""
CHANGES: dict[Arm, set[str]] = {
    claim_registry.NO_LRN: {"model.architecture.stages"},
    claim_registry.NOT_OVERLAPPING: {"model.architecture.pool_size", "model.architecture.ceil_mode"},
    claim_registry.AVERAGED: {
        "model.architecture.pooling",
        "model.architecture.pool_size",
        "model.architecture.ceil_mode",
    },
    claim_registry.DROPOUT: {"optimizer.lr"},
    claim_registry.NO_DROPOUT: {"optimizer.lr", "model.dropout"},
    claim_registry.WEIGHT_DECAY: {"optimizer.lr", "model.dropout", "optimizer.weight_decay"},
    claim_registry.BIAS_0: {"model.architecture.biases"},
    claim_registry.KAIMING_0: {"model.architecture.initialization", "data.normalization"},
    claim_registry.KAIMING_1: {"model.architecture.initialization", "data.normalization"},
    claim_registry.PLATEAU: {"schedule.name", "schedule.patience_epochs", "schedule.max_drops"},
    claim_registry.CONSTANT: {"schedule.name"},
    claim_registry.NO_AUGMENTATION: {"data.cropping", "data.mirror", "data.pca_lighting"},
    claim_registry.CROPS: {"data.pca_lighting"},
    claim_registry.NOISE_OF_THE_TEXT: {"data.pca_lighting"},
    **{
        arm: set[str]()
        for arm in (*claim_registry.SHARES, claim_registry.OTHER, *claim_registry.SCRATCH.values())
    },
    **{
        arm: {"model.architecture.widths", "model.architecture.init_std"}
        for arm in (claim_registry.NARROW, claim_registry.WIDE)
    },
    claim_registry.ONE_TOWER: {
        "model.architecture.widths",
        "model.architecture.towers",
        "model.architecture.init_std",
    },
    **{
        arm: {"model.architecture.without", *(["model.architecture.stages"] if layer in POOLED else [])}
        for layer, arm in claim_registry.WITHOUT.items()
    },
}
"""What each arm changes of the common net and training, beside how many photos and updates it has."""


DIGITS = ("data.image_size=32", "data.input_size=28", "data.channels=1")


def variant_of(arm: Arm, settings: tuple[str, ...] = ()) -> AlexNetArchitecture:
    architecture = arm_config(arm, settings).model.architecture
    assert isinstance(architecture, AlexNetArchitecture)
    return architecture


def test_all_eleven_are_there_in_the_lectures_order() -> None:
    assert tuple(claim.id for claim in CLAIMS) == ORDER
    assert len({*ORDER}) == 11


@pytest.mark.parametrize("claim", CLAIMS, ids=ORDER)
def test_a_claim_is_complete_and_its_bands_say_something(claim: Claim) -> None:
    assert claim.statement.endswith(".") and claim.source
    assert len({*claim.seeds}) == len(claim.seeds) >= LEAST_SEEDS
    assert any(comparison.decides for comparison in claim.comparisons)
    for comparison in claim.comparisons:
        band = comparison.band
        assert band.low < band.high and (math.isfinite(band.low) or math.isfinite(band.high))
        assert not {*comparison.first} & {*comparison.second} or comparison.other_measure
        assert comparison.ratio <= bool(comparison.second)


def test_arms_have_names_of_their_own_and_nets_that_can_be_built() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    with torch.device("meta"):
        for arm in ARMS:
            build_run(arm_config(arm, ()), 10)
            if arm != claim_registry.NOISE_OF_THE_TEXT:  # which gray digits cannot have
                build_run(arm_config(arm, DIGITS), 10)


@pytest.mark.parametrize("arm", CHANGES, ids=lambda arm: arm.name)
def test_an_arm_changes_what_its_name_says_and_nothing_else(arm: Arm) -> None:
    changed = differences(arm_config(claim_registry.COMMON, ()), arm_config(arm, ()))
    assert {line.partition(":")[0] for line in changed} == CHANGES[arm]


def test_every_other_arm_is_accounted_for() -> None:
    assert {*ARMS} - {*CHANGES} == {
        claim_registry.COMMON,
        claim_registry.LENET,
        *claim_registry.RELU,
        *claim_registry.TANH,
        *claim_registry.SIGMOID,
    }


def test_activations_differ_in_themselves_and_their_rate() -> None:
    rates = {arm_config(arm, ()).optimizer.lr for arm in claim_registry.RELU}
    for others in (claim_registry.TANH, claim_registry.SIGMOID):
        assert {arm_config(arm, ()).optimizer.lr for arm in others} == rates
        for relu, arm in zip(claim_registry.RELU, others, strict=True):
            changed = differences(arm_config(relu, ()), arm_config(arm, ()))
            assert [line.partition(":")[0] for line in changed] == ["model.architecture.activation"]
    config = arm_config(claim_registry.RELU[0], ())
    assert not config.model.dropout and not config.optimizer.weight_decay and not config.data.mirror
    assert config.data.cropping == "center" and config.schedule.name == "constant"


def test_fields_of_nets() -> None:
    common = variant_of(claim_registry.COMMON)
    assert common.widths == (48, 128, 192, 192, 128, 2048, 2048)
    assert variant_of(claim_registry.WIDE) == ALEXNET_VARIANTS["2012"]
    assert not {"lrn", "spatial"} & {*itertools.chain(*variant_of(claim_registry.NO_LRN).stages)}
    assert not any(variant_of(claim_registry.BIAS_0).biases) and any(common.biases)
    assert variant_of(claim_registry.WITHOUT["conv5"]).layers == (
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "fc6",
        "fc7",
        "fc8",
    )
    assert variant_of(claim_registry.WITHOUT["conv5"]).stages[3] == common.stages[4]


@pytest.mark.parametrize("settings", [(), DIGITS], ids=["photos", "digits"])
def test_one_tower_costs_what_two_do(settings: tuple[str, ...]) -> None:
    data = common(settings).data
    one, two = (
        multiply_adds(variant_of(arm, settings), data)
        for arm in (claim_registry.ONE_TOWER, claim_registry.COMMON)
    )
    assert variant_of(claim_registry.ONE_TOWER, settings).towers == 1
    assert abs(one / two - 1) < SAME_COST


@pytest.mark.parametrize("crop", [64, 224])
def test_windows_that_do_not_overlap_give_maps_of_the_same_size(crop: int) -> None:
    with torch.device("meta"):
        shapes = [
            [layer.output_shape for layer in summarize_model(AlexNet(variant_of(arm), 10, crop), crop).layers]
            for arm in (claim_registry.COMMON, claim_registry.NOT_OVERLAPPING, claim_registry.AVERAGED)
        ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_an_unknown_claim_is_answered_with_the_nearest() -> None:
    with pytest.raises(CommandError, match="'dropout'"):
        find(["dropuot"])
    assert [claim.id for claim in find(["lrn", "relu"])] == ["relu", "lrn"]
    assert find(["all"]) == [*CLAIMS]


@pytest.mark.parametrize("claim", CLAIMS, ids=ORDER)
def test_a_recorded_verdict_was_made_with_the_band_of_today(claim: Claim) -> None:
    documents = [json.loads(file.read_text()) for file in RESULTS.glob("*/claim.json")]
    for document in documents:  # of several data sets
        if document["id"] != claim.id:
            continue
        assert document["statement"] == claim.statement
        assert [(each["words"], each["band"]) for each in document["comparisons"]] == [
            (each.words, band_of(each.band)) for each in claim.comparisons
        ]
        for each, found in zip(claim.comparisons, document["comparisons"], strict=True):
            assert found["interval"] is None or {arm.name for arm in each.arms} <= {*document["arms"]}


def test_a_recorded_page_says_what_its_numbers_say() -> None:
    for file in RESULTS.glob("*/claim.json"):
        assert (file.parent / "README.md").read_text() == readme(json.loads(file.read_text()))
