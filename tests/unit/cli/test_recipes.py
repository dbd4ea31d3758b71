from __future__ import annotations

import json
from itertools import pairwise

import pytest

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.cli.recipes import recipe_text
from alexnet.config import RunConfig, from_dict, override

_STARTS = ("Source:", "Expected:")


def test_the_list_has_each_recipe_in_its_family_with_source_and_expected_error(capsys) -> None:
    assert main(["recipes"]) == 0
    *blocks, title, ensembles = capsys.readouterr().out.strip().split("\n\n")
    assert title == "Members of `alexnet ensemble NAME`"
    assert "7-cnns-star: seed-0 (alexnet-2012), seed-1" in ensembles
    listed: dict[str, list[str]] = {}
    for block in blocks:
        if not block.startswith(" "):
            listed[block] = []
            continue
        listed[list(listed)[-1]].append(block.split()[0])
        assert "Source:" in block and "Expected:" in block
    assert listed == recipes.families()
    assert [name for family in listed.values() for name in family] == recipes.names()


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_described_by_whole_sentences_above_its_source(name: str) -> None:
    lines = [line.strip() for line in recipe_text(name).splitlines()]
    starts = [next(i for i, line in enumerate(lines) if line.startswith(word)) for word in _STARTS]
    parts = [lines[start:stop] for start, stop in pairwise([1, *starts, len(lines)])]
    assert all(part and part[-1].endswith(".") for part in parts)
    assert lines[0] == name and not any(word in " ".join(parts[1])[7:] for word in _STARTS)


def test_an_ensemble_is_one_json_object_with_its_members(capsys) -> None:
    assert main(["recipes", "7-cnns-star"]) == 0
    members = json.loads(capsys.readouterr().out)["members"]
    assert [member["recipe"] for member in members if not member["pretraining"]] == [
        *["alexnet-2012"] * 5,
        *["alexnet-2012-star"] * 2,
    ]
    assert [member["init_from"] for member in members[-2:]] == ["", "star-1-pretrain"]


def test_one_recipe_is_one_json_object_that_makes_the_same_configuration(capsys) -> None:
    assert main(["recipes", "alexnet-2012"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("parameters") == 60_965_224
    assert printed.pop("multiply_adds") == 724_406_816
    assert from_dict(RunConfig, printed) == recipes.get("alexnet-2012")


@pytest.mark.parametrize("name", ["sift-fv", "sparse-coding"])
def test_a_pipeline_is_printed_with_what_it_takes(name: str, capsys) -> None:
    assert main(["recipes", name]) == 0
    printed = json.loads(capsys.readouterr().out)
    config = recipes.get(name)
    for section, fields in printed.items():
        if isinstance(fields, dict):
            texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in fields.items()}
            assert override(config, [f"{section}.{key}={text}" for key, text in texts.items()]) == config
    assert {"image_size", "input_size"} <= {*printed["data"]} and "model" not in printed


def test_a_model_for_digits_is_counted_with_ten_classes(capsys) -> None:
    assert main(["recipes", "lenet-5"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["parameters"], printed["multiply_adds"]) == (60_000, 328_096)


def test_an_unknown_recipe_is_2_and_names_the_nearest(capsys) -> None:
    assert main(["recipes", "alexnet-2013"]) == 2
    printed = capsys.readouterr()
    assert "'alexnet-2012'" in printed.err
    assert not printed.out


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_can_be_printed(name: str, capsys) -> None:
    assert main(["recipes", name]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == name
