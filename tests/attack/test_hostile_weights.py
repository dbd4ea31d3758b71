"""Model files with other contents: each is loaded, or refused in one line that names it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from changed_contents import TEXTS, changed_bytes, changed_documents
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet.errors import AlexNetError, DataError
from alexnet.models import bundle
from alexnet.serialization import to_dict

CHANGED = 40
KEYS = ("format_version", "config", "classes", "preprocessing", "terms", "provenance", "calibration")


@pytest.fixture(scope="module")
def parts(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a valid file, without checksums, which would hide what comes after."""
    with safe_open(run / "checkpoints" / "last" / "weights.safetensors", framework="pt") as opened:
        texts = {name: text for name, text in opened.metadata().items() if name in KEYS}
        return {name: opened.get_tensor(name) for name in opened.keys()}, texts  # noqa: SIM118


def load_or_refuse(path: Path) -> bundle.ModelBundle | None:
    """Fails where anything but a DataError of one line that names the file is raised."""
    try:
        return bundle.load(path, "cpu")
    except DataError as error:
        assert path.name in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 1500
    return None


@pytest.mark.parametrize("key", KEYS)
def test_other_texts_in_the_metadata_are_refused(parts, tmp_path: Path, key: str) -> None:
    tensors, texts = parts
    path = tmp_path / "model.safetensors"
    for text in TEXTS:
        try:
            made = text.decode()
        except UnicodeDecodeError:
            continue
        save_file(tensors, path, {**texts, key: made})
        found = load_or_refuse(path)
        assert found is None or json.loads(made) in ({}, 0)


@pytest.mark.parametrize("key", KEYS[:-1])
def test_other_values_in_the_metadata_are_loaded_or_refused(parts, tmp_path: Path, key: str) -> None:
    tensors, texts = parts
    path = tmp_path / "model.safetensors"
    for text in changed_documents([json.loads(texts[key])], CHANGED, seed=2):
        made = json.loads(text)
        save_file(tensors, path, {**texts, key: json.dumps(made[0] if made else None)})
        found = load_or_refuse(path)
        if found is not None:
            with torch.no_grad():
                rows = found.model(torch.zeros(1, found.config.data.channels, 64, 64))
            assert math.isfinite(float(rows.sum()))


@pytest.mark.parametrize(
    ("section", "name", "value", "reason"),
    [
        ("model", "dropout", math.nan, "model.dropout=nan is not a finite number"),
        ("model", "dropout", 2, "must be in"),
        ("data", "input_size", 2**63, "64 bits"),
        ("training", "seed", 10**400, "digits"),
    ],
)
def test_settings_out_of_range_are_refused(parts, tmp_path: Path, section, name, value, reason) -> None:
    tensors, texts = parts
    config = json.loads(texts["config"])
    config[section][name] = value
    save_file(tensors, tmp_path / "model.safetensors", {**texts, "config": json.dumps(config)})
    with pytest.raises(DataError, match=reason):
        bundle.load(tmp_path / "model.safetensors", "cpu")


def test_a_class_that_is_there_twice_is_refused(parts, tmp_path: Path) -> None:
    tensors, texts = parts
    first, second, _ = json.loads(texts["classes"])
    classes = json.dumps([first, second, first])
    save_file(tensors, tmp_path / "model.safetensors", {**texts, "classes": classes})
    with pytest.raises(DataError, match=f"class {first['wnid']} 2 times"):
        bundle.load(tmp_path / "model.safetensors", "cpu")


def test_tensors_of_other_types_and_shapes_are_refused(parts, tmp_path: Path) -> None:
    tensors, texts = parts
    path = tmp_path / "model.safetensors"
    changes = (
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.to(torch.int64),
        lambda tensor: tensor[None],
        lambda tensor: tensor.flatten()[:1],
        lambda tensor: tensor.flatten()[:0],
    )
    for name in tensors:
        for change in changes:
            save_file({**tensors, name: change(tensors[name]).contiguous()}, path, texts)
            load_or_refuse(path)
        save_file({key: tensor for key, tensor in tensors.items() if key != name}, path, texts)
        assert load_or_refuse(path) is None


def test_changed_bytes_are_loaded_or_refused(run: Path, tmp_path: Path) -> None:
    data = (run / "checkpoints" / "last" / "weights.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    length = int.from_bytes(data[:8], "little")
    for made in changed_bytes(data[: 8 + length], CHANGED, seed=3):
        path.write_bytes(made + data[8 + length :])
        load_or_refuse(path)


def test_a_variant_of_100_000_spaces_is_refused_at_once(parts, tmp_path: Path) -> None:
    """A quadratic regular expression took minutes."""
    tensors, texts = parts
    config = json.loads(texts["config"])
    del config["model"]["architecture"]
    config["model"]["variant"] = "2012" + " " * 100_000 + "x"
    save_file(tensors, tmp_path / "model.safetensors", {**texts, "config": json.dumps(config)})
    with pytest.raises(AlexNetError, match="variant"):
        bundle.load(tmp_path / "model.safetensors", "cpu")


def test_the_fixture_is_valid(parts, tmp_path: Path) -> None:
    save_file(*[parts[0], tmp_path / "model.safetensors", parts[1]])
    assert to_dict(bundle.load(tmp_path / "model.safetensors", "cpu").config) == json.loads(
        parts[1]["config"]
    )
