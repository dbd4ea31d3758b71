"""Model files: everything is saved, foreign files are refused, no incomplete file is left."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from alexnet.checksum import Damaged
from alexnet.config import override
from alexnet.data.classes import imagenet_classes
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.models import bundle
from alexnet.models.registry import build


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def saved(store: Store, tmp_path: Path) -> Path:
    config = tiny.config()
    model = build(config.model, len(store.classes), config.data.input_size)
    path = tmp_path / "net.safetensors"
    bundle.save(
        path, bundle.ModelBundle(model, config, store.classes, Preprocessing.from_store(config.data, store))
    )
    return path


def rewrite(path: Path, metadata: dict[str, str] | None = None, **tensors: torch.Tensor) -> None:
    with safe_open(path, "pt") as opened:
        texts = opened.metadata()
    del texts["checksum"], texts["tensors_sha256"]
    save_file(load_file(path) | tensors, path, texts | (metadata or {}))


def test_everything_is_saved_with_the_weights(saved: Path, store: Store) -> None:
    loaded = bundle.load(saved, "cpu")
    config = tiny.config()
    assert loaded.config == config
    assert loaded.classes == store.classes
    assert not loaded.preprocessing.difference(Preprocessing.from_store(config.data, store))
    assert loaded.terms == bundle.TERMS
    assert not loaded.model.training
    images = torch.randn(2, 3, 64, 64)
    again = bundle.load(saved, "cpu").model
    assert torch.equal(loaded.model(images), again(images))


def test_weights_are_under_model_for_any_reader_of_safetensors(saved: Path) -> None:
    names = load_file(saved).keys()
    assert "model.conv1.weight" in names
    assert "preprocessing.mean" in names


def test_a_newer_version_is_refused(saved: Path) -> None:
    rewrite(saved, {"format_version": json.dumps(bundle.MODEL_FORMAT_VERSION + 1)})
    with pytest.raises(DataError, match="update alexnet"):
        bundle.load(saved, "cpu")


def test_another_architecture_is_named_by_its_first_tensor(saved: Path) -> None:
    rewrite(saved, **{"model.conv2.weight": torch.zeros(1)})
    with pytest.raises(DataError, match=r"conv2\.weight is 1 in these weights"):
        bundle.load(saved, "cpu")


def test_a_recipe_of_another_model_refuses_the_weights(saved: Path) -> None:
    config = override(tiny.config(), ["model.variant=one-weird-trick"])
    values = json.dumps(bundle.to_dict(config))
    rewrite(saved, {"config": values})
    with pytest.raises(DataError, match=r"another architecture.*: conv1\.weight"):
        bundle.load(saved, "cpu")


def test_a_file_cut_short_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a complete safetensors file"):
        bundle.load(saved, "cpu")


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, ("exploded", "w")


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.safetensors"
    path.write_bytes(pickle.dumps(_Bomb(), protocol=protocol))
    with pytest.raises(DataError):
        bundle.load(path, "cpu")
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="pickle"):
        bundle.load(path, "cpu")
    assert not (tmp_path / "exploded").exists()


def test_weights_of_others_are_distinguished_from_ours(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "theirs.safetensors")
    with pytest.raises(DataError, match="weights but no format_version, config, classes, preprocessing"):
        bundle.load(tmp_path / "theirs.safetensors", "cpu")
    with pytest.raises(CommandError, match="no model file"):
        bundle.load(tmp_path / "absent.safetensors", "cpu")


def test_a_full_disk_leaves_the_old_file_whole(
    saved: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "save_file", full)
    loaded = tiny.config()
    model = build(loaded.model, len(store.classes), loaded.data.input_size)
    with pytest.raises(WorkError, match="No space left"):
        bundle.save(
            saved,
            bundle.ModelBundle(model, loaded, store.classes, Preprocessing.from_store(loaded.data, store)),
        )
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_the_terms_of_imagenet_are_stated_for_its_classes_only(store: Store) -> None:
    custom = bundle.default_terms(store.classes)["data_terms"]
    assert custom == "the training photos keep their own terms"
    assert "ImageNet: research" in bundle.default_terms(imagenet_classes()[:3])["data_terms"]


def test_a_flipped_bit_in_a_tensor_or_in_the_metadata_is_noticed(saved: Path) -> None:
    data = saved.read_bytes()
    length = int.from_bytes(data[:8], "little")
    with safe_open(saved, "pt") as opened:
        assert {"tensors_sha256", "checksum"} <= opened.metadata().keys()
    license = data.index(b"not stated")
    for place, match in (
        (len(data) - 5, "weights differ"),
        (8 + length + 1, "weights differ"),
        (license, "metadata"),
    ):
        saved.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(Damaged, match=match):
            bundle.load(saved, "cpu")
    saved.write_bytes(data)
    bundle.load(saved, "cpu")


def test_files_of_earlier_versions_without_a_digest_are_read(saved: Path) -> None:
    assert bundle.has_digest(saved)
    rewrite(saved)
    assert not bundle.has_digest(saved)
    bundle.load(saved, "cpu")


def test_a_file_is_compared_once_in_a_process(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, original = [], bundle.tensors_digest
    monkeypatch.setattr(bundle, "tensors_digest", lambda tensors: made.append(1) or original(tensors))
    for _ in range(3):
        bundle.load(saved, "cpu")
    assert len(made) == 1


def test_the_digest_of_tensors_is_that_of_its_definition() -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor(3, dtype=torch.bfloat16)}
    parts = [
        hashlib.sha256(b"a torch.bfloat16 \n" + bytes.fromhex("4040")).digest(),
        hashlib.sha256(b"b torch.float32 3x2\n" + tensors["b"].contiguous().numpy().tobytes()).digest(),
    ]
    assert bundle.tensors_digest(tensors) == hashlib.sha256(b"".join(parts)).hexdigest()
