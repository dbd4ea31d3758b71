"""Configurations as YAML, and what is known about each key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import RunConfig, at_size_of_store, flatten, override, to_dict
from alexnet.config_file import config_yaml, read_config_file
from alexnet.config_keys import all_keys, find_keys, keys_of
from alexnet.errors import AlexNetError, CommandError, NotFound
from alexnet.serialization import ConfigError, Range
from alexnet.tasks.config import TASKS


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def read_back(path: Path) -> RunConfig:
    found = read_config_file(path)
    return override(recipes.get(found.recipe), found.settings)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_the_same_after_a_round_trip(name: str, tmp_path: Path) -> None:
    config = recipes.get(name)
    text = config_yaml(config)
    assert read_back(written(tmp_path, text)) == config
    # Any other reader of YAML finds the same values.
    found, wanted = yaml.safe_load(text), to_dict(config)
    for section in found:
        if isinstance(found[section], dict):
            assert all(found[section][key] == wanted[section][key] for key in found[section])
        else:
            assert found[section] == wanted[section]


@pytest.mark.parametrize("name", recipes.names())
def test_with_all_keys_uncommented_it_is_still_the_same(name: str, tmp_path: Path) -> None:
    lines = config_yaml(recipes.get(name)).splitlines()
    sizes = ("  # image_size: ", "  # input_size: ")
    text = "\n".join(line.replace("# ", "", 1) if line.startswith(sizes) else line for line in lines)
    found = read_config_file(written(tmp_path, text))
    keys = [setting.partition("=")[0] for setting in found.settings]
    assert keys == [key.name for key in keys_of(recipes.get(name))]
    assert override(recipes.get(name), found.settings) == recipes.get(name)


@st.composite
def configurations(draw: st.DrawFn) -> RunConfig:
    """A recipe with some values of another one."""
    config, other = (recipes.get(draw(st.sampled_from(recipes.names()))) for _ in range(2))
    values = flatten(other)
    keys = [key.name for key in keys_of(config) if key.name in values]
    made = config
    for key in draw(st.sets(st.sampled_from(keys), max_size=6)):
        value = values[key]
        try:
            made = override(made, [f"{key}={value if isinstance(value, str) else json.dumps(value)}"])
        except AlexNetError:
            continue
    return made


@settings(max_examples=25, deadline=None)
@given(configurations())
def test_any_configuration_is_the_same_after_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, config: RunConfig
) -> None:
    assert read_back(written(tmp_path_factory.mktemp("config"), config_yaml(config))) == config


def test_the_sizes_of_a_recipe_follow_from_the_store_and_others_are_fixed(tmp_path: Path) -> None:
    found = read_config_file(written(tmp_path, config_yaml(recipes.get("alexnet-modern"))))
    config = at_size_of_store(recipes.get(found.recipe), found.settings, 128, print)
    assert (config.data.image_size, config.data.input_size) == (128, 112)
    assert read_back(written(tmp_path, config_yaml(config))) == config


def test_a_short_file_with_short_keys_changes_only_those(tmp_path: Path) -> None:
    text = "recipe: alexnet-modern\nepochs: 5\noptimizer:\n  lr: 1e-4\ndata:\nwithout: [fc6]\nvariant: 2012\n"
    wanted = override(
        recipes.get("alexnet-modern"), ["epochs=5", "lr=1e-4", "variant=2012", 'without=["fc6"]']
    )
    assert read_back(written(tmp_path, text)) == wanted
    assert read_config_file(written(tmp_path, "epochs: 5"), "vgg-a").recipe == "vgg-a"
    assert read_config_file(written(tmp_path, ""), "vgg-a").settings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: alexnet-2012\nschedule:\n  epoch: 3\n", ":3: unknown key 'schedule.epoch'; the nearest is"),
        ("recipe: alexnet-2012\nresnet: 3\n", ":2: unknown key 'resnet'"),
        ("recipe: alexnet-2012\nschedule:\n  epochs: many\n", ":3: schedule.epochs must be a whole number"),
        ("recipe: alexnet-2012\nlr: 1\nbatch_size: 0\n", ":3: training.batch_size=0 must be at least 1"),
        ("recipe: alexnet-2012\ndata:\n  resized_area: [2, 3]\n", ":3: data.resized_area=[2.0, 3.0] must be"),
        ("recipe: sift-fv\nheld_out: 2\n", ":2: classic.held_out=2.0 must be"),
        ("recipe: alexnet-2012\n\nepochs: [3]\n", ":3: schedule.epochs must be a whole number"),
        ("recipe: alexnet-2012\nwidths: [a]\n", ":2: model.architecture.widths must be a whole number"),
        ("recipe: alexnet-2012\nwithout: [6]\n", ":2: model.architecture.without must be text"),
        ("recipe: alexnet-2012\nevents:\n  - at: 1\n    act: x\n", ":2: unknown key 'events.act'"),
        ("recipe: alexnet-2012\nmirror: perhaps\n", ":2: data.mirror must be true or false"),
        ("recipe: alexnet-2012\ndata:\n  crop: 3\n", ":3: unknown key 'data.crop'; type data.input_size"),
        ("recipe: alexnet-2012\nname: x\n", ":2: name is the ending of 3 keys"),
        (
            "recipe: alexnet-2012\nepochs: 3\nlr: 1\nschedule.epochs: 4\n",
            ":4: schedule.epochs is set in line 2",
        ),
        ("recipe: alexnet-2012\nepochs: {a: 3}\n", ":2: unknown key 'epochs.a'"),
        ("recipe: alexnet-2013\n", "unknown recipe 'alexnet-2013'; the nearest is 'alexnet-2012'"),
        ("epochs: 3\n", "has no `recipe: NAME`"),
        ("recipe: alexnet-2012\nepochs: 3: 4\n", ":2: not YAML (mapping values are not allowed here)"),
        ("recipe: a\n---\nrecipe: b\n", ":2: not YAML (but found another document)"),
        ("- 1\n", "keys are expected"),
        ("a: &x [1, 1]\nb: *x\n", ":1: aliases"),
        ("a: &x\n  b: *x\n", ":1: aliases"),
        ("a: " + 3000 * "[", "not YAML"),
        ("? [1]\n: 2\n", ":1: a key must be a word"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CommandError) as caught:
        read_config_file(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value) or message.startswith("unknown recipe")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_another_recipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        read_config_file(tmp_path / "none.yaml")
    with pytest.raises(CommandError, match="cannot read"):
        read_config_file(tmp_path)
    with pytest.raises(CommandError, match=r"yaml:1: this configuration is for vgg-a, not for vgg-b"):
        read_config_file(written(tmp_path, "recipe: vgg-a\n"), "vgg-b")
    (tmp_path / "bytes.yaml").write_bytes(b"recipe: \xff\n")
    with pytest.raises(CommandError, match="not YAML"):
        read_config_file(tmp_path / "bytes.yaml")


def test_every_key_has_a_meaning_a_kind_and_a_default() -> None:
    keys = [part for key in all_keys() for part in (key, *key.parts)]
    assert len(keys) > 90
    assert all(key.meaning and key.kind for key in keys)
    assert [key.name for key in keys if key.default is None] == ["at", "action"]
    (loss,) = find_keys("training.loss")
    assert all(f"`{each}`" in loss.meaning for task in TASKS for each in task.losses)


def test_a_default_is_in_its_range_and_a_value_beyond_it_is_refused() -> None:
    ranged = [key for key in all_keys() if key.range and not key.name.startswith("classic.")]
    assert {"lr", "epochs", "batch_size", "color_jitter"} <= {key.short for key in ranged}
    for key in ranged:
        wrong = "[-1,-1]" if isinstance(key.default, list) else "-1"
        with pytest.raises(ConfigError, match=rf"{key.name}=.* must be "):
            override(recipes.get("alexnet-2012"), [f"{key.name}={wrong}"])


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (Range(at_least=1), "at least 1", [1, 5], [0, 0.99]),
        (Range(above=0), "above 0", [1e-9], [0, -1]),
        (Range(at_least=0, below=1), "in [0, 1)", [0, 0.99], [-0.1, 1]),
        (Range(above=0, at_most=1), "in (0, 1]", [0.1, 1], [0, 1.1]),
    ],
)
def test_a_range_is_written_as_it_is_checked(
    allowed: Range, text: str, inside: list[float], outside: list[float]
) -> None:
    assert str(allowed) == text
    assert all(each in allowed for each in inside) and not any(each in allowed for each in outside)


def test_the_shortest_ending_of_a_key_is_enough() -> None:
    config = recipes.get("alexnet-modern")
    for key in keys_of(config):
        value = flatten(config)[key.name]
        setting = f"{key.short}={value if isinstance(value, str) else json.dumps(value)}"
        assert override(config, [setting]) == config


def test_the_command_prints_yaml_that_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "alexnet-small", "epochs=7"]) == 0
    path = written(tmp_path, capsys.readouterr().out)
    assert main(["config", "--config", str(path), "lr=0.1"]) == 0
    assert read_back(written(tmp_path, capsys.readouterr().out)) == override(
        recipes.get("alexnet-small"), ["epochs=7", "lr=0.1"]
    )
    assert main(["config", "--config", str(path), "lr=-1"]) == 2
    assert "optimizer.lr=-1.0 must be above 0" in capsys.readouterr().err
    assert main(["config"]) == 2
    assert "type a recipe, which `alexnet recipes` lists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "lines"),
    [
        ("epochs", ["schedule.epochs  (or: epochs)", "    Value: a whole number, at least 0; default 90."]),
        ("batch-size", ["training.batch_size  (or: batch_size)"]),
        ("lr=3", ["optimizer.lr  (or: lr)", "    Value: a number, above 0; default 0.01."]),
        ("name", ["model.name", "optimizer.name", "schedule.name"]),
        ("learning_rate", ["learning_rate is now optimizer.lr."]),
        ("codes", ["classic.codes  (or: codes)  [classic pipelines]"]),
        ("regression", ["model.architecture.regression  (or: regression)  [overfeat, overfeat-localizer,"]),
        ("lenet-5", ["lenet-5", "alexnet config lenet-5 prints its configuration."]),
        ("train", ["Usage: alexnet train [OPTIONS] [RECIPE] [KEY=VALUE...]"]),
        ("", ["`alexnet --help` lists the commands, `alexnet recipes` the recipes, and"]),
    ],
)
def test_help_explains_keys_commands_and_recipes(
    word: str, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["help", *([word] if word else [])]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert all(any(each.startswith(line) for each in shown) for line in lines)


def test_help_lists_the_keys_of_a_section_and_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["help", "schedule"]) == 0
    shown = capsys.readouterr().out.splitlines()
    wanted = [key.name for key in keys_of(recipes.get("alexnet-2012")) if key.name.startswith("schedule.")]
    assert [line.split()[0] for line in shown] == wanted
    assert main(["help", "epoch"]) == 2
    assert "no key, command or recipe 'epoch'; the nearest is 'epochs'" in capsys.readouterr().err
    assert main(["help", "resnet50"]) == 2
    assert "`alexnet help` lists what can be explained" in capsys.readouterr().err
