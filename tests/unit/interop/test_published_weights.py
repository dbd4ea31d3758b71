from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from local_server import Server

import alexnet
from alexnet import recipes
from alexnet.cli.main import main
from alexnet.data.download import RemoteFile
from alexnet.interop.published_weights import PUBLISHED_WEIGHTS
from alexnet.runs.run_dir import RunDir


def fetch(capsys, name: str, folder: Path, *words: object) -> tuple[int, str, str]:
    code = main(["fetch", name, str(folder), *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def publish(server: Server, monkeypatch, name: str, contents: bytes, kind: str) -> None:
    """Replaces the published weights of that name."""
    published = PUBLISHED_WEIGHTS[name]
    server.files[f"/{published.file.name}"] = contents
    digest = hashlib.new(kind, contents).hexdigest()
    file = RemoteFile(published.file.name, len(contents), digest, (f"{server.url}/",))
    monkeypatch.setitem(PUBLISHED_WEIGHTS, name, replace(published, file=file))


@pytest.fixture
def torchvisions(server: Server, monkeypatch, stock, tmp_path: Path) -> Server:
    """A file in torchvision's format that needs no disk space."""
    state = {name: torch.full((), 0.01).expand(tensor.shape) for name, tensor in stock[1].items()}
    torch.save(state, tmp_path / "made")
    publish(server, monkeypatch, "torchvision-alexnet", (tmp_path / "made").read_bytes(), "sha256")
    return server


@pytest.mark.slow
def test_two_commands_classify_a_photo_with_published_weights(torchvisions, large, store, capsys) -> None:
    code, out, _ = fetch(capsys, "torchvision-alexnet", large / "nets")
    assert code == 0
    run = large / "nets" / "torchvision-alexnet"
    assert f"next: alexnet predict PHOTO --model {run}\n" in out
    assert "license of the weights: BSD-3-Clause" in out
    assert "research and teaching" in out
    photo = next((store.path.parent / "photos").rglob("*.png"))
    assert main(["predict", str(photo), "--model", str(run), "--json", "--device", "cpu"]) == 0
    (prediction,) = json.loads(capsys.readouterr().out)
    assert len(prediction["classes"]) == 5
    terms = PUBLISHED_WEIGHTS["torchvision-alexnet"].terms
    assert alexnet.load(run, "cpu").terms == terms
    before = len(torchvisions.requests)
    assert fetch(capsys, "torchvision-alexnet", large / "nets")[0] == 0
    assert len(torchvisions.requests) == before
    # Fetched weights count as finished, and have their origin.
    assert main(["export", str(run), str(large / "net.safetensors")]) == 0
    assert "origin: alexnet-owt-7be5be79.pth of torchvision, sha256" in capsys.readouterr().out


def test_a_sha1_is_enough_and_wrong_bytes_leave_nothing(server, monkeypatch, tmp_path, capsys) -> None:
    publish(server, monkeypatch, "caffenet", b"no net", "sha1")
    code, _, error = fetch(capsys, "caffenet", tmp_path / "good")
    assert code == 3  # the checksum is right: that it contains no model is only found when it is read
    assert "not a complete file of Caffe" in error
    assert [path.name for path in (tmp_path / "good").iterdir()] == ["bvlc_reference_caffenet.caffemodel"]
    server.files["/bvlc_reference_caffenet.caffemodel"] = b"other bytes"
    code, _, error = fetch(capsys, "caffenet", tmp_path / "bad")
    assert code == 3
    assert "checksum differs" in error
    assert list((tmp_path / "bad").iterdir()) == []


def test_something_else_with_that_name_is_unchanged(torchvisions, tmp_path, capsys) -> None:
    (tmp_path / "torchvision-alexnet").mkdir()
    (tmp_path / "torchvision-alexnet" / "mine").touch()
    code, _, error = fetch(capsys, "torchvision-alexnet", tmp_path)
    assert code == 2
    assert "exists: choose another directory" in error
    assert torchvisions.requests == []


def test_another_run_with_that_name_is_not_taken_for_the_published_weights(
    torchvisions, tmp_path, capsys
) -> None:
    RunDir.create(tmp_path / "torchvision-alexnet", recipes.get("alexnet-torchvision"))
    code, _, error = fetch(capsys, "torchvision-alexnet", tmp_path)
    assert code == 2
    assert "exists: choose another directory" in error


def test_an_unknown_name_lists_data_sets_and_weights(tmp_path, capsys) -> None:
    code, _, error = fetch(capsys, "alexnet", tmp_path)
    assert code == 2
    names = "imagenette, mnist, tiny-imagenet, cifar-10, cifar-100, caltech-101"
    assert f"{names}, torchvision-alexnet, bvlc-alexnet, caffenet" in error


def test_the_list_is_valid() -> None:
    assert list(PUBLISHED_WEIGHTS) == ["torchvision-alexnet", "bvlc-alexnet", "caffenet"]
    for published in PUBLISHED_WEIGHTS.values():
        assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", published.file.digest)
        assert all(re.fullmatch(r"https?://.+/", url) for url in published.file.folder_urls)
        assert set(published.terms) == {"code_license", "weights_license", "data_terms"}
        assert published.file.size_bytes > 240e6


@pytest.mark.parametrize(
    ("name", "hint"),
    [("imagnette", "the nearest is 'imagenette'"), ("zzz", "choose from: imagenette, mnist")],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    name: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = fetch(capsys, name, tmp_path / "new")
    assert code == 2
    assert hint in error
