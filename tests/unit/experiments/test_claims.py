"""The claims as data: all eleven, each with meaningful bands and arms that differ in one thing."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from alexnet.errors import CommandError
from alexnet.experiments import claims
from alexnet.experiments.arms import SAME_COST, Arm, arm_config, common, multiply_adds
from alexnet.experiments.claim_results import read_claim
from alexnet.experiments.claims import CLAIMS, MIN_SEEDS, Claim, find
from alexnet.experiments.spec import RunSpec, overrides_of
from alexnet.experiments.verdict import combine, still_learning
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture
from alexnet.models.registry import build_run
from alexnet.models.summary import summarize_model
from alexnet.report.claims import readme
from alexnet.training.run import differences

RESULTS = Path(__file__).parents[3] / "results" / "claims"
IDS = tuple(claim.id for claim in CLAIMS)
ARMS = list(dict.fromkeys(arm for claim in CLAIMS for arm in claim.arms))

POOLED = ("conv2", "conv5")
"""Layers left out whose pooling moves to the layer before them."""
WIDER = ("model.architecture.widths", "model.architecture.init_std")
CHANGES: dict[Arm, set[str]] = {
    claims.NO_LRN: {"model.architecture.stages"},
    claims.NOT_OVERLAPPING: {"model.architecture.pool_size", "model.architecture.ceil_mode"},
    claims.AVERAGED: {
        "model.architecture.pooling",
        "model.architecture.pool_size",
        "model.architecture.ceil_mode",
    },
    claims.DROPOUT: {*WIDER, "optimizer.lr"},
    claims.NO_DROPOUT: {*WIDER, "optimizer.lr", "model.dropout"},
    **{
        arm: {*WIDER, "optimizer.lr", "model.dropout", "optimizer.weight_decay"}
        for arm in claims.WEIGHT_DECAYS
    },
    claims.BIAS_0: {"model.architecture.biases"},
    claims.KAIMING_0: {
        "model.architecture.initialization",
        "model.architecture.biases",
        "data.normalization",
    },
    claims.KAIMING_1: {"model.architecture.initialization", "data.normalization"},
    claims.PLATEAU: {"schedule.name", "schedule.patience_epochs", "schedule.max_drops"},
    claims.CONSTANT_RATE: {"schedule.name"},
    claims.NO_AUGMENTATION: {"data.cropping", "data.mirror", "data.pca_lighting"},
    claims.CROPS: {"data.pca_lighting"},
    claims.NOISE_OF_THE_TEXT: {"data.pca_lighting"},
    **{arm: set[str]() for arm in (*claims.SHARES, claims.OTHER, *claims.SCRATCH.values())},
    **{arm: {*WIDER} for arm in (claims.NARROW, claims.WIDE)},
    claims.ONE_TOWER: {*WIDER, "model.architecture.towers"},
    **{
        arm: {"model.architecture.without", *(["model.architecture.stages"] if layer in POOLED else [])}
        for layer, arm in claims.WITHOUT.items()
    },
}
"""What each arm changes of the common model and training, besides its number of photos and updates."""


DIGITS = ("data.image_size=32", "data.input_size=28", "data.channels=1")


def variant_of(arm: Arm, settings: tuple[str, ...] = ()) -> AlexNetArchitecture:
    architecture = arm_config(arm, settings).model.architecture
    assert isinstance(architecture, AlexNetArchitecture)
    return architecture


def test_there_are_eleven_claims_and_ids_of_claims_and_comparisons_are_distinct() -> None:
    assert len({*IDS}) == len(CLAIMS) == 11
    for claim in CLAIMS:
        assert len({each.id for each in claim.comparisons}) == len(claim.comparisons)


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_a_claim_is_complete_and_its_bands_exclude_some_values(claim: Claim) -> None:
    assert claim.statement.endswith(".") and claim.source
    assert len({*claim.seeds}) == len(claim.seeds) >= MIN_SEEDS
    assert any(comparison.decides for comparison in claim.comparisons)
    for comparison in claim.comparisons:
        band = comparison.band
        assert band.low < band.high and (math.isfinite(band.low) or math.isfinite(band.high))
        assert not {*comparison.first} & {*comparison.second} or comparison.other_measure
        assert comparison.ratio <= bool(comparison.second)


def test_arms_have_distinct_names_and_models_that_can_be_built() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    with torch.device("meta"):
        for arm in ARMS:
            build_run(arm_config(arm, ()), 10)
            if arm != claims.NOISE_OF_THE_TEXT:  # which gray digits cannot have
                build_run(arm_config(arm, DIGITS), 10)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_an_arm_is_a_recipe_with_overrides(arm: Arm) -> None:
    config = arm_config(arm, ())
    assert RunSpec("run", config.recipe, overrides=overrides_of(config)).config() == config


@pytest.mark.parametrize("arm", CHANGES, ids=lambda arm: arm.name)
def test_an_arm_changes_only_what_its_name_states(arm: Arm) -> None:
    changed = differences(arm_config(claims.COMMON, ()), arm_config(arm, ()))
    assert {line.partition(":")[0] for line in changed} == CHANGES[arm]


def test_every_other_arm_is_accounted_for() -> None:
    assert {*ARMS} - {*CHANGES} == {
        claims.COMMON,
        claims.LENET,
        *claims.RELU,
        *claims.TANH,
        *claims.SIGMOID,
    }


def test_activations_differ_in_themselves_and_their_rate() -> None:
    rates = {arm_config(arm, ()).optimizer.lr for arm in claims.RELU}
    for others in (claims.TANH, claims.SIGMOID):
        assert {arm_config(arm, ()).optimizer.lr for arm in others} == rates
        for relu, arm in zip(claims.RELU, others, strict=True):
            changed = differences(arm_config(relu, ()), arm_config(arm, ()))
            assert [line.partition(":")[0] for line in changed] == ["model.architecture.activation"]
    config = arm_config(claims.RELU[0], ())
    assert not config.model.dropout and not config.optimizer.weight_decay and not config.data.mirror
    assert config.data.cropping == "center" and config.schedule.name == "constant"


def test_fields_of_models() -> None:
    common = variant_of(claims.COMMON)
    assert common.widths == (48, 128, 192, 192, 128, 2048, 2048)
    assert variant_of(claims.WIDE) == ALEXNET_VARIANTS["2012"]
    assert not {"lrn", "spatial"} & {*itertools.chain(*variant_of(claims.NO_LRN).stages)}
    assert not any(variant_of(claims.BIAS_0).biases) and any(common.biases)
    assert variant_of(claims.WITHOUT["conv5"]).layers == (
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "fc6",
        "fc7",
        "fc8",
    )
    assert variant_of(claims.WITHOUT["conv5"]).stages[3] == common.stages[4]


@pytest.mark.parametrize("settings", [(), DIGITS], ids=["photos", "digits"])
def test_one_tower_costs_what_two_do(settings: tuple[str, ...]) -> None:
    data = common(settings).data
    one, two = (multiply_adds(variant_of(arm, settings), data) for arm in (claims.ONE_TOWER, claims.COMMON))
    assert variant_of(claims.ONE_TOWER, settings).towers == 1
    assert abs(one / two - 1) < SAME_COST


@pytest.mark.parametrize("crop", [64, 224])
def test_windows_that_do_not_overlap_give_maps_of_the_same_size(crop: int) -> None:
    with torch.device("meta"):
        shapes = [
            [layer.output_shape for layer in summarize_model(AlexNet(variant_of(arm), 10, crop), crop).layers]
            for arm in (claims.COMMON, claims.NOT_OVERLAPPING, claims.AVERAGED)
        ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_for_an_unknown_claim_the_nearest_is_named() -> None:
    with pytest.raises(CommandError, match="'dropout'"):
        find(["dropuot"])
    assert [claim.id for claim in find(["lrn", "relu"])] == ["relu", "lrn"]
    assert find(["all"]) == [*CLAIMS]


RECORDED = {file.parent.name: read_claim(file.parent) for file in sorted(RESULTS.glob("*/claim.json"))}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_verdict_was_made_with_the_band_of_today(name: str) -> None:
    result = RECORDED[name]
    assert result is not None
    (claim,) = find([result.id])
    assert (result.statement, result.source, result.remarks) == (claim.statement, claim.source, claim.remarks)
    assert [(each.id, each.words, each.measure, each.band) for each in result.comparisons] == [
        (each.id, each.words, each.measure.id, each.band) for each in claim.comparisons
    ]
    for each, found in zip(claim.comparisons, result.comparisons, strict=True):
        names = {arm.name for arm in each.arms}
        assert found.interval is None or names <= {*result.arms}
        last = {
            name: [run.tests[-1].training_error for run in result.runs if run.arm == name and run.tests]
            for name in names
        }
        trained = not still_learning(last) or not (
            each.measure.of_trained or (each.other_measure is not None and each.other_measure.of_trained)
        )
        assert trained or found.verdict not in ("held", "failed")
    assert (result.verdict, result.reason) == combine(result.comparisons)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_page_holds_what_its_numbers_give(name: str) -> None:
    result = RECORDED[name]
    assert result is not None and (RESULTS / name / "README.md").read_text() == readme(result)


def test_every_claim_is_recorded() -> None:
    assert {result.id for result in RECORDED.values() if result} == {*IDS}
