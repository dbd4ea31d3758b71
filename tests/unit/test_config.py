"""The configuration: overrides, JSON, and errors that name the nearest key."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet import recipes
from alexnet.config import (
    ConfigError,
    RunConfig,
    at_size_of_store,
    flatten,
    from_dict,
    override,
    resolve,
    sizes_of_store,
    to_dict,
)
from alexnet.data.config import DataConfig, scaled_input_size
from alexnet.errors import CommandError
from alexnet.models.config import ALEXNET_VARIANTS, OVERFEAT_VARIANTS, VGG_VARIANTS


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("classic.step=64", "classic.channels whole"),
        ("classic.kodes=pq", "the nearest is 'classic.codes'"),
        (
            'classic.channels=[{"descriptor": "sift", "words": 64}]',
            "unknown key 'classic.channels.words'; type classic.channels.codebook_size",
        ),
        ("classic.code=pq", "the nearest is 'classic.codes'"),
        ('classic.channels={"descriptor": "sift"}', """such as [{"descriptor": ...}]"""),
        ('classic.channels=[{"descriptor": "sift"}', "is not JSON"),
        ("schedule.name=cosine", "is a setting of networks, which sift-fv is not"),
    ],
)
def test_a_wrong_setting_of_a_pipeline_is_one_line_that_helps(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(recipes.get("sift-fv"), [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_survives_json(name: str) -> None:
    config = recipes.get(name)
    assert from_dict(RunConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_override_sets_only_the_named_field() -> None:
    before = recipes.get("alexnet-2012")
    after = override(before, ["schedule.epochs=30", "data.mirror=false", "data.resized_area=[0.3,1]"])
    assert after.schedule.epochs == 30
    assert after.data.mirror is False
    assert after.data.resized_area == (0.3, 1.0)
    assert after.optimizer == before.optimizer
    assert after.events == before.events


def test_events_can_be_given_as_json() -> None:
    text = '[{"at": 0.5, "action": "layer-factor", "layer": "conv1", "value": 0.0}]'
    config = override(recipes.get("alexnet-2012"), [f"events={text}"])
    assert [(event.at, event.layer, event.value) for event in config.events] == [(0.5, "conv1", 0.0)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("schedule.epoch=3", "schedule.epochs"),
        ("epoch=3", "schedule.epochs"),
        ("name=vgg", "type model.name or optimizer.name or schedule.name"),
        ("data.side=72", "unknown key 'data.side'; type data.image_size=72"),
        ("crop=64", "unknown key 'crop'; type data.input_size=64"),
        ("batch=32", "unknown key 'batch'; type training.batch_size=32"),
        ("optimizer=sgd", "optimizer is a group of settings: type optimizer.name=sgd"),
        ("data=3", "data is a group of settings: type one of them, such as data.image_size=..."),
        ("deviations=[1]", "type model.architecture.init_std=[1]"),
        ("model.bottleneck=8", "type model.architecture.bottleneck=8"),
        ("model.variant=2013", "it must be one of 2012, 2012-star, paper"),
        (
            "model.variant=2012 widths=[8,8] pool_rounds_up=no",
            "type model.variant=2012 'model.architecture.widths=[8,8]' model.architecture.ceil_mode=no",
        ),
        ("model.name=vgg", "unknown variant '2012' of vgg; it must be one of A, A-LRN"),
        ("model.name=resnet", "must be one of alexnet, lenet"),
        ("stages=[[1]]", "must be one of relu, lrn"),
        ("widths=[8,8.5]", "a whole number"),
        ("widths=[8,8]", "needs 2 stages"),
        ("schedule.epochs=3.5", "a whole number"),
        ("optimizer.lr=fast", "a number"),
        ("data.mirror=perhaps", "true or false"),
        ("schedule.name=cosin", "cosine"),
        ("schedule.epochs", "key=value"),
        ("data.input_size=300", "data.image_size=256: it must be at most 256, such as data.input_size=224"),
        ("data.resized_area=[0.3]", "2 entries"),
        ("data.resized_area=0.3", "JSON list"),
        ("data.resized_area=[0.3", "not JSON"),
        ("classic.codes=pq", "such as sift-fv, which alexnet-2012 is not"),
    ],
)
def test_a_wrong_setting_is_one_line_that_helps(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(recipes.get("alexnet-2012"), [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(sorted(flatten(recipes.get("alexnet-2012")))))
def test_every_key_accepts_its_own_value(key: str) -> None:
    config = recipes.get("alexnet-2012")
    value = flatten(config)[key]
    text = value if isinstance(value, str) else json.dumps(value)
    assert override(config, [f"{key}={text}"]) == config


def test_any_ending_that_one_key_has_will_do() -> None:
    config = recipes.get("alexnet-2012")
    short = override(config, ["epochs=3", "lr=0.1", "widths=[8,8,8,8,8,16,16]", "architecture.towers=1"])
    whole = [
        "schedule.epochs=3",
        "optimizer.lr=0.1",
        "model.architecture.widths=[8,8,8,8,8,16,16]",
        "model.architecture.towers=1",
    ]
    assert short == override(config, whole) != config
    assert resolve(config, ["epochs=3", "architecture.towers=1"]) == [
        ("schedule.epochs", "3"),
        ("model.architecture.towers", "1"),
    ]


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("sift-fv", ["class_weights=balanced"], "training.class_weights is a setting of networks"),
        ("sift-fv", ["sampling=balanced"], "data.sampling is a setting of networks"),
        ("sift-fv", ["minutes=5"], "schedule.minutes is a setting of networks"),
        ("lenet-1989", ["class_weights=balanced"], "or data.sampling=balanced"),
        ("overfeat-fast-localization", ["class_weights=balanced"], "type training.class_weights=none"),
        ("alexnet-2012", ["sampling=balanced"], "data.sampling=balanced needs data.order=each-epoch"),
        ("alexnet-2012", ["minutes=-1"], "schedule.minutes=-1.0 must be at least 0"),
        ("alexnet-modern", ["minutes=1", "epochs=0", "fit_last_layer=yes"], "schedule.minutes needs"),
        ("alexnet-modern", ["patience=-1"], "training.patience=-1 must be at least 0"),
        ("alexnet-modern", ["class_weights=balanced", "sampling=balanced"], "type only one of them"),
        ("alexnet-modern", ["gradient_clip=-1"], "optimizer.gradient_clip=-1.0 must be at least 0"),
        ("alexnet-modern", ["min_lr_ratio=2"], "schedule.min_lr_ratio=2.0 must be"),
        ("alexnet-2012", ['lr_multipliers=[["conv1", -1]]'], "the factor of conv1 is -1, but"),
    ],
)
def test_settings_of_time_and_balance_that_cannot_be(recipe: str, settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(recipes.get(recipe), settings)


def test_runs_of_earlier_versions_leave_out_a_last_batch() -> None:
    values = to_dict(recipes.get("alexnet-modern"))
    del values["training"]["last_batch"]
    assert from_dict(RunConfig, values).training.last_batch == "drop"
    kept = {name for name in recipes.names() if recipes.get(name).training.last_batch != "drop"}
    assert kept == {"alexnet-modern", "alexnet-small"}


def test_an_ending_that_a_pipeline_and_networks_have_is_the_pipelines() -> None:
    pipeline = recipes.get("sift-fv")
    changed = override(pipeline, ['channels=[{"descriptor": "hog"}]', "lr=2"])
    assert changed.classic is not None and changed.classic.channels[0].descriptor == "hog"
    assert changed.optimizer.lr == 2


def test_a_variant_sets_all_constants_and_later_settings_change_them() -> None:
    config = recipes.get("alexnet-2012")
    caffe = override(config, ["variant=caffe"])
    assert caffe.model.architecture == ALEXNET_VARIANTS["caffe"] and caffe.model.variant == "caffe"
    narrow = override(config, ["variant=caffe", "pool_size=2"])
    assert narrow.model.architecture == replace(ALEXNET_VARIANTS["caffe"], pool_size=2)
    again = override(narrow, ["model.variant=2012"])
    assert again.model == config.model
    assert override(config, ["pool_size=2", "variant=caffe"]) == narrow


def test_another_family_brings_its_own_constants() -> None:
    config = override(
        recipes.get("alexnet-2012"),
        ["variant=A", "widths=[8,8,8,8,8,16,16]", "batchnorm=yes", "model.name=vgg"],
    )
    wanted = replace(VGG_VARIANTS["A"], batchnorm=True, widths=(8, 8, 8, 8, 8, 16, 16))
    assert config.model.architecture == wanted


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(CommandError, match="alexnet-2012"):
        recipes.get("alexnet2012")


@pytest.mark.parametrize(("side", "crop"), [(256, 224), (128, 112), (72, 64), (64, 64), (48, 48)])
def test_the_usual_crop_is_one_that_trains(side: int, crop: int) -> None:
    assert scaled_input_size(side, DataConfig()) == crop


@pytest.mark.parametrize(
    ("recipe", "side", "crop"),
    [
        ("alexnet-2012", 256, 224),
        ("alexnet-2012", 128, 112),
        ("alexnet-2012", 512, 448),
        ("alexnet-2012", 72, 64),
        ("alexnet-2012", 48, 48),
        ("caffenet", 256, 227),
        ("caffenet", 128, 112),
        ("alexnet-small", 64, 56),
        ("alexnet-small", 128, 112),
        ("alexnet-small", 60, 56),
        ("alexnet-small", 32, 32),
        ("overfeat-accurate", 256, 221),
        ("overfeat-fast-detection", 384, 327),
        ("lenet-5", 32, 32),
        ("lenet-5", 28, 28),
        ("lenet-5", 30, 28),
        ("lenet-modern", 32, 28),
        ("lenet-modern", 28, 24),
        ("lenet-1989", 20, 20),
        ("sift-fv", 128, 128),
        ("sift-fv", 224, 224),
    ],
)
def test_the_sizes_follow_from_the_store(recipe: str, side: int, crop: int) -> None:
    lines: list[str] = []
    config = at_size_of_store(recipes.get(recipe), [], side, lines.append)
    assert (config.data.image_size, config.data.input_size) == (side, crop)
    own = recipes.get(recipe).data
    assert lines == (
        []
        if side == own.image_size
        else [
            f"data.image_size={side} data.input_size={crop}, since the store's images have {side} pixels "
            f"({recipe}: {own.input_size} of {own.image_size})"
        ]
    )
    rest = {"data.image_size", "data.input_size"}
    before, after = flatten(recipes.get(recipe)), flatten(config)
    assert {key for key in before if before[key] != after[key]} <= rest


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        (["image_size=128"], ["data.input_size=112"]),
        (["data.image_size=128", "input_size=96"], []),
        (["input_size=96"], ["data.image_size=128"]),
        (["image_size=256"], []),
        (["image_size=100", "input_size=96"], []),
        (["model.name=overfeat", "variant=fast"], ["data.image_size=128", "data.input_size=103"]),
    ],
)
def test_a_size_that_was_typed_is_not_taken_from_the_store(settings: list[str], taken: list[str]) -> None:
    assert sizes_of_store(recipes.get("alexnet-2012"), settings, 128) == taken


@given(st.sampled_from(recipes.names()), st.integers(16, 600))
def test_at_every_size_the_crop_fits_into_the_square(name: str, side: int) -> None:
    taken = dict(each.split("=") for each in sizes_of_store(recipes.get(name), [], side))
    own = recipes.get(name).data
    assert int(taken.get("data.image_size", own.image_size)) == side
    assert 0 < int(taken.get("data.input_size", own.input_size)) <= side


@pytest.mark.parametrize(
    ("recipe", "key", "then"),
    [
        ("overfeat-fast", "data.test_scales=", ["data.test_scales=[]"]),
        ("vgg-a", "data.scales=[72,72]", ["data.scales=[72,72]"]),
    ],
)
def test_a_recipe_that_does_not_fit_the_stores_size_is_refused_with_what_to_type(
    recipe: str, key: str, then: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        at_size_of_store(recipes.get(recipe), [], 72, print)
    assert str(caught.value).startswith("data.image_size=72 data.input_size=")
    assert f"type {key}" in str(caught.value)
    assert at_size_of_store(recipes.get(recipe), then, 72, print).data.image_size == 72


@pytest.mark.parametrize(("side", "crop"), [(256, 231), (128, 103), (80, 71), (72, 72), (64, 64)])
def test_the_usual_crop_of_overfeat_is_one_it_reads_all_of(side: int, crop: int) -> None:
    assert OVERFEAT_VARIANTS["fast"].scaled_input_size(side, DataConfig(input_size=231)) == crop


def test_scales_that_enlarge_more_than_twice_are_refused() -> None:
    small = ["data.image_size=72", "data.input_size=72"]
    with pytest.raises(ConfigError, match=r"type data\.test_scales=\[72,108\], or \[\]"):
        override(recipes.get("overfeat-fast"), small)
    assert override(recipes.get("overfeat-fast"), [*small, "data.test_scales=[72,108]"]).data.input_size == 72


@pytest.mark.parametrize(
    "setting",
    [
        "training.log_every_steps=0",
        "training.evaluate_every_epochs=0",
        "schedule.step_epochs=0",
        "data.resized_area=[2,3]",
        "data.resized_area=[0.9,0.1]",
        "optimizer.momentum=nan",
        "optimizer.lr=inf",
        "schedule.factor=0",
        "events=[1]",
        "events=[{}]",
        'events=[{"at": 0.5, "action": "bias-factor", "value": Infinity}]',
        'optimizer.lr_multipliers=[["conv1", Infinity]]',
        'optimizer.bias_lr_multipliers=[["conv1", 1e-30]]',
        "data.pca_lighting_strength=-1",
        "training.seed=-1",
        "training.seed=4294967296",
    ],
)
def test_a_value_out_of_its_range_is_named(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.partition("=")[0].replace(".", r"\.")):
        override(recipes.get("alexnet-2012"), [setting])


def test_the_largest_seed() -> None:
    largest = override(recipes.get("alexnet-2012"), ["seed=4294967295"])
    assert largest.training.seed == 2**32 - 1
    with pytest.raises(ConfigError, match=r"training\.seed=-1 must be in \[0, 4294967295\]"):
        override(largest, ["seed=-1"])


def test_nesterov_needs_momentum() -> None:
    settings = ["optimizer.name=sgd", "optimizer.nesterov=yes"]
    assert override(recipes.get("alexnet-2012"), settings).optimizer.nesterov
    with pytest.raises(ConfigError, match=r"needs optimizer\.momentum above 0"):
        override(recipes.get("alexnet-2012"), [*settings, "optimizer.momentum=0"])
