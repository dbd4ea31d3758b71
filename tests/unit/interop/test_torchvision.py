from __future__ import annotations

import json
import pickle
import warnings
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import alexnet
from alexnet.cli.main import main
from alexnet.data.classes import imagenet_classes
from alexnet.interop import torchvision
from alexnet.io import file_sha256
from alexnet.models.config import VGG_VARIANTS

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def import_torchvision(file: Path, run: Path, *words: object) -> int:
    return main(["import", str(file), str(run), "--as", "torchvision", *map(str, words)])


def say_what_is_wrong(capsys, file: Path, *words: object, code: int = 3) -> str:
    assert import_torchvision(file, file.parent / "run", *words) == code
    assert not (file.parent / "run").exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.slow
def test_torchvisions_weights_predict_as_torchvision_does(stock, large: Path, capsys) -> None:
    net, state = stock
    torch.save(OrderedDict(state), large / "net.pth")
    assert import_torchvision(large / "net.pth", large / "run") == 0
    assert f"next: alexnet predict PHOTO --model {large / 'run'}" in capsys.readouterr().out
    classifier = alexnet.load(large / "run", "cpu")
    assert classifier.classes == imagenet_classes()
    square = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    (found,) = classifier.probabilities([square], views="center")
    crop = (square[16:240, 16:240] / 255 - MEAN) / DEVIATION
    with torch.no_grad():
        wanted = net(torch.from_numpy(crop.transpose(2, 0, 1)[None]).float()).softmax(1)[0].numpy()
    assert wanted.max() > 3 / 1000
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    environment = json.loads((large / "run" / "environment.json").read_text())
    sha256 = file_sha256(large / "net.pth")
    assert environment["imported"] == {"file": "net.pth", "sha256": sha256, "as": "torchvision"}
    assert (large / "run" / "checkpoints" / "best" / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"features.0.weight": None}, "conv1.weight is missing"),
        ({"features.1.weight": torch.zeros(1)}, "features.1.weight is not in torchvision's AlexNet"),
        ({"features.3.weight": torch.zeros(2, 3)}, "conv2.weight is 2x3 in these weights, 192x64x5x5"),
        ({"features.0.bias": torch.full((64,), torch.nan)}, "conv1.bias has values that are not finite"),
        ({"epoch": 90}, "contains other things than named tensors"),
    ],
    ids=["missing", "unexpected", "shape", "nan", "checkpoint"],
)
def test_what_does_not_fit_is_named(stock, large: Path, capsys, change: dict, named: str) -> None:
    state = {name: tensor for name, tensor in {**stock[1], **change}.items() if tensor is not None}
    # What is refused before its values are looked at need not be large.
    small = state if "not finite" in named else {n: _expanded(t) for n, t in state.items()}
    torch.save(small, large / "net.pth")
    assert named in say_what_is_wrong(capsys, large / "net.pth")


def test_a_checkpoint_of_pytorch_examples_is_read_too(stock, large: Path) -> None:
    named = {name.replace("features.", "features.module."): each for name, each in stock[1].items()}
    torch.save({"epoch": 90, "arch": "alexnet", "state_dict": named}, large / "net.pth")
    assert import_torchvision(large / "net.pth", large / "run") == 0
    found = alexnet.load(large / "run", "cpu").model.get_parameter("conv2.weight")
    assert torch.equal(found, stock[1]["features.3.weight"])


WRAPPED = {
    "DataParallel": lambda state: {f"module.{name}": each for name, each in state.items()},
    "compiled": lambda state: {f"_orig_mod.{name}": each for name, each in state.items()},
    "both": lambda state: {f"module._orig_mod.{name}": each for name, each in state.items()},
    "model": lambda state: {"model": state, "optimizer": {}, "epoch": 3, "args": {"lr": 0.1}},
    "model_state_dict": lambda state: {"epoch": 3, "model_state_dict": state, "loss": 0.5},
    "Lightning": lambda state: {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": OrderedDict((f"model._orig_mod.{name}", each) for name, each in state.items()),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "hyper_parameters": {"lr": 0.01},
    },
    "own name": lambda state: {"state_dict": {f"backbone.{name}": each for name, each in state.items()}},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_weights_in_checkpoints_and_under_wrapped_names_are_found(stock, tmp_path: Path, wrap) -> None:
    expanded = {name: _expanded(each) for name, each in stock[1].items()}
    torch.save(wrap({**expanded, "features.3.bias": stock[1]["features.3.bias"]}), tmp_path / "net.pth")
    read = torchvision.read_torchvision(tmp_path / "net.pth")
    assert torch.equal(read.model.get_parameter("conv2.bias"), stock[1]["features.3.bias"])


def test_two_models_in_one_checkpoint_are_not_mixed(stock, tmp_path: Path, capsys) -> None:
    state = {name: _expanded(each) for name, each in stock[1].items()}
    torch.save({**state, **WRAPPED["DataParallel"](state)}, tmp_path / "net.pth")
    assert "it contains several models" in say_what_is_wrong(capsys, tmp_path / "net.pth")


def test_a_renamed_last_layer_is_named_by_an_option(stock, tmp_path: Path, capsys) -> None:
    state = {name.replace("classifier.6", "head"): _expanded(each) for name, each in stock[1].items()}
    torch.save(WRAPPED["DataParallel"](state), tmp_path / "net.pth")
    assert "type --rename head=classifier.6" in say_what_is_wrong(capsys, tmp_path / "net.pth")
    assert torchvision.read_torchvision(tmp_path / "net.pth", (), {"head": "classifier.6"}).config.recipe
    error = say_what_is_wrong(capsys, tmp_path / "net.pth", "--rename", "haed=classifier.6", code=2)
    assert "no layer 'haed' to rename; the nearest is 'head'" in error
    error = say_what_is_wrong(capsys, tmp_path / "net.pth", "--rename", "head=classifier.4", code=2)
    assert "has a layer 'classifier.4' already" in error
    assert "expected OLD=NEW" in say_what_is_wrong(capsys, tmp_path / "net.pth", "--rename", "head", code=2)


def test_missing_biases_are_the_reason_given(stock, tmp_path: Path, capsys) -> None:
    """Also where the number of outputs is not ImageNet's."""
    state = {name: _expanded(each) for name, each in stock[1].items() if name != "classifier.6.bias"}
    torch.save({**state, "classifier.6.weight": torch.zeros(3, 4096)}, tmp_path / "net.pth")
    (tmp_path / "names.txt").write_text("ant\nbee\ncow\n")
    error = say_what_is_wrong(capsys, tmp_path / "net.pth", "--classes", tmp_path / "names.txt")
    assert "fc8.bias is missing" in error


class _Scripted(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_a_torchscript_archive_is_named(tmp_path: Path, capsys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(_Scripted(), torch.zeros(1)), tmp_path / "net.pth")
    assert "a TorchScript archive" in say_what_is_wrong(capsys, tmp_path / "net.pth")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 244408911\n"
WRONG_FILES = {
    "is a Git-LFS pointer of 78 bytes": POINTER,
    "is a web page (HTML)": b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html lang='en'><head>",
    "is a web page": b"<html><title>Google Drive - Virus scan warning</title>",
    "perhaps a server's error message": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "is a text, perhaps": b'{"error": "Repository not found"}',
    "is compressed": b"\x1f\x8b" + bytes(99),
    "is empty": b"",
    "is an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(99),
}


@pytest.mark.parametrize(("named", "contents"), WRONG_FILES.items(), ids=WRONG_FILES)
@pytest.mark.parametrize("framework", ["torchvision", "caffe"])
def test_what_downloads_leave_is_named(
    tmp_path: Path, capsys, named: str, contents: bytes, framework: str
) -> None:
    (tmp_path / "net").write_bytes(contents)
    assert main(["import", str(tmp_path / "net"), str(tmp_path / "run"), "--as", framework]) == 3
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def _expanded(value: object) -> object:
    """A tensor of the same shape that needs no disk space."""
    return torch.zeros(()).expand(value.shape) if isinstance(value, torch.Tensor) else value


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("exploded", "w")


def test_a_pickle_with_code_is_refused_and_not_executed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": _Bomb()}, tmp_path / "net.pth")
    assert "could execute code" in say_what_is_wrong(capsys, tmp_path / "net.pth")
    (tmp_path / "net.pth").write_bytes(pickle.dumps(_Bomb()))
    assert "could execute code" in say_what_is_wrong(capsys, tmp_path / "net.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, capsys, share: float) -> None:
    torch.save({"features.0.bias": torch.zeros(500)}, tmp_path / "net.pth")
    whole = (tmp_path / "net.pth").read_bytes()
    (tmp_path / "net.pth").write_bytes(whole[: int(share * len(whole))])
    assert "net.pth" in say_what_is_wrong(capsys, tmp_path / "net.pth")


def test_other_classes_must_be_given(stock, large: Path, capsys) -> None:
    state = {name: _expanded(tensor) for name, tensor in stock[1].items()}
    state |= {"classifier.6.weight": torch.zeros(3, 4096), "classifier.6.bias": torch.zeros(3)}
    net, names = large / "net.pth", large / "names.txt"
    torch.save(state, net)
    assert "has 3 outputs, not ImageNet's 1000" in say_what_is_wrong(capsys, net, code=2)
    names.write_text("n01440764\ncat\ta cat\n\n")
    assert "2 classes were given" in say_what_is_wrong(capsys, net, "--classes", names, code=2)
    names.write_text("n01440764\ncat\ta cat\ncat\n")
    assert "has cat twice" in say_what_is_wrong(capsys, net, "--classes", names)
    names.write_text("n01440764\ncat\ta cat\ndog\n")
    assert import_torchvision(net, large / "run", "--classes", names) == 0
    classes = alexnet.load(large / "run", "cpu").classes
    assert [(each.wnid, each.name) for each in classes] == [
        ("n01440764", "tench"),
        ("cat", "a cat"),
        ("dog", "dog"),
    ]


def test_caffes_options_are_refused_for_torchvision(tmp_path: Path, capsys) -> None:
    error = say_what_is_wrong(capsys, tmp_path / "net.pth", "--variant", "caffe", code=2)
    assert "are for --as caffe" in error
    assert "no file at" in say_what_is_wrong(capsys, tmp_path / "net.pth", code=2)


def test_a_full_disk_leaves_no_run(stock, large: Path, monkeypatch, capsys) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    torch.save({name: _expanded(tensor) for name, tensor in stock[1].items()}, large / "net.pth")
    monkeypatch.setattr("alexnet.models.bundle.save_file", full)
    error = say_what_is_wrong(capsys, large / "net.pth", code=1)
    assert f"cannot write {large / 'run'} (No space left on device)" in error
    assert [path.name for path in large.iterdir()] == ["net.pth"]


def vgg16_bn(classes: int) -> OrderedDict[str, torch.Tensor]:
    """A state_dict of torchvision's VGG16_BN with widths 2, 4, 4, 8, 8, then 16 in fc6 and fc7."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    place, inputs = 0, 3
    for width, convolutions in ((2, 2), (4, 2), (4, 3), (8, 3), (8, 3)):
        for _ in range(convolutions):
            state[f"features.{place}.weight"] = torch.randn(width, inputs, 3, 3)
            state[f"features.{place}.bias"] = torch.randn(width)
            for kind in ("weight", "bias", "running_mean"):
                state[f"features.{place + 1}.{kind}"] = torch.randn(width)
            state[f"features.{place + 1}.running_var"] = torch.rand(width) + 0.5
            state[f"features.{place + 1}.num_batches_tracked"] = torch.tensor(7)
            place, inputs = place + 3, width
        place += 1
    for number, (units, reads) in zip((0, 3, 6), ((16, 8 * 49), (16, 16), (classes, 16)), strict=True):
        state[f"classifier.{number}.weight"] = torch.randn(units, reads) / reads**0.5
        state[f"classifier.{number}.bias"] = torch.randn(units)
    return state


def test_torchvisions_vggs_are_recognized_and_preprocess_as_torchvision_does(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    torch.manual_seed(0)
    widths = (2, 4, 4, 8, 8, 16, 16)
    monkeypatch.setitem(VGG_VARIANTS, "D", replace(VGG_VARIANTS["D"], widths=widths))
    state, names = vgg16_bn(classes=3), tmp_path / "names.txt"
    names.write_text("n01440764\ncat\ndog\n")
    torch.save(state, tmp_path / "net.pth")
    assert import_torchvision(tmp_path / "net.pth", tmp_path / "run", "--classes", names) == 0
    assert "vgg-d-batchnorm, 3 classes" in capsys.readouterr().out
    classifier = alexnet.load(tmp_path / "run", "cpu")
    assert torch.equal(classifier.model.get_parameter("conv5_3.weight"), state["features.40.weight"])
    normalizer = classifier.model.get_submodule("after.conv5_3.batchnorm").state_dict()
    assert torch.equal(normalizer["running_var"], state["features.41.running_var"])
    assert normalizer["num_batches_tracked"].item() == 7
    preprocessing = classifier.preprocessing
    assert (preprocessing.side, preprocessing.crop, preprocessing.data.scales) == (256, 224, (0, 0))
    np.testing.assert_allclose(preprocessing.mean / 255, MEAN, rtol=1e-5)
    np.testing.assert_allclose(preprocessing.divisor / 255, DEVIATION, rtol=1e-5)
    square = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert classifier.probabilities([square], views="center").sum() == pytest.approx(1, abs=1e-5)
    del state["features.40.bias"]
    torch.save(state, tmp_path / "net.pth")
    assert import_torchvision(tmp_path / "net.pth", tmp_path / "other", "--classes", names) == 3
    assert "conv5_3.bias is missing" in capsys.readouterr().err


def without_prefixes(names: list[str]) -> list[str]:
    """As `_without_prefixes`, with all names copied for each prefix."""
    split = [[part for part in name.split(".") if part not in torchvision._INSIDE] for name in names]
    split = [parts[1:] if parts[0] == "model" else parts for parts in split]
    while (
        len(first := {parts[0] for parts in split}) == 1
        and not first & torchvision._OWN
        and min(map(len, split)) > 2
    ):
        split = [parts[1:] for parts in split]
    return [".".join(parts) for parts in split]


PARTS = st.sampled_from(["a", "b", "model", "module", "features", "0", "weight"])


@given(st.lists(PARTS, max_size=3), st.lists(st.lists(PARTS, min_size=2, max_size=4), min_size=1, max_size=4))
def test_common_prefixes_are_those_of_the_slow_search(prefix: list[str], names: list[list[str]]) -> None:
    full = sorted({".".join([*prefix, *parts]) for parts in names})
    try:
        wanted = without_prefixes(full)
    except IndexError:  # nothing is left of a name
        return
    if len(set(wanted)) == len(wanted):
        assert list(torchvision._without_prefixes(dict.fromkeys(full, torch.zeros(())))) == wanted
