"""Model files: everything is saved, foreign files are refused, no incomplete file is left."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from pathlib import Path

import pytest
import tiny
import torch
import xxhash
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

DIGESTS = ("checksum", "tensors_sha256", "tensors_xxh3_128")
"""In the metadata of a file."""


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
    for name in DIGESTS:
        texts.pop(name, None)
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


def drop(path: Path, *names: str) -> None:
    """Removes texts from the metadata."""
    with safe_open(path, "pt") as opened:
        texts = {name: text for name, text in opened.metadata().items() if name not in names}
    save_file(load_file(path), path, texts)


@pytest.mark.parametrize("missing", [(), ("tensors_xxh3_128",), ("tensors_sha256", "checksum")], ids=str)
def test_a_flipped_bit_of_any_tensor_is_noticed_by_either_digest(
    saved: Path, missing: tuple[str, ...]
) -> None:
    drop(saved, *missing)
    with safe_open(saved, "pt") as opened:
        assert set(DIGESTS) & opened.metadata().keys() == set(DIGESTS) - set(missing)
    data, generator = saved.read_bytes(), random.Random(0)
    start = 8 + int.from_bytes(data[:8], "little")
    places = [start, len(data) - 1, *(generator.randrange(start, len(data)) for _ in range(20))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << generator.randrange(8)
        saved.write_bytes(changed)
        with pytest.raises(Damaged, match="weights differ"):
            bundle.load(saved, "cpu")
    saved.write_bytes(data)
    bundle.load(saved, "cpu")


def test_a_flipped_bit_of_the_header_is_noticed_or_changes_nothing(saved: Path) -> None:
    data, wanted = saved.read_bytes(), bundle.load(saved, "cpu")
    length, generator = int.from_bytes(data[:8], "little"), random.Random(0)
    digest, license = data.index(b"tensors_xxh3_128"), data.index(b"not stated")
    refused = 0
    for place in [digest, license, *(generator.randrange(8, 8 + length) for _ in range(40))]:
        saved.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = bundle.load(saved, "cpu")
        except DataError:
            refused += 1
            continue
        assert (found.config, found.classes, found.terms) == (wanted.config, wanted.classes, wanted.terms)
        weights = found.model.state_dict()
        assert all(torch.equal(weights[name], each) for name, each in wanted.model.state_dict().items())
    assert refused > 30


def test_verify_compares_the_sha256_too(saved: Path) -> None:
    assert bundle.verify(saved)
    tensors = load_file(saved)
    tensors["model.conv1.bias"] += 1
    with safe_open(saved, "pt") as opened:
        texts = opened.metadata()
    save_file(tensors, saved, texts | {"tensors_xxh3_128": json.dumps(bundle.tensors_xxh3(tensors))})
    bundle.load(saved, "cpu")
    with pytest.raises(Damaged, match="SHA-256"):
        bundle.verify(saved)


def test_files_of_earlier_versions_without_a_digest_are_read(saved: Path) -> None:
    assert bundle.verify(saved)
    rewrite(saved)
    assert not bundle.verify(saved)
    bundle.load(saved, "cpu")


def test_weights_that_are_not_finite_are_neither_saved_nor_read(saved: Path, store: Store) -> None:
    net = bundle.load(saved, "cpu")
    bias = torch.full_like(net.model.state_dict()["conv1.bias"], torch.nan)
    rewrite(saved, **{"model.conv1.bias": bias})
    with pytest.raises(DataError, match=r"conv1\.bias has values that are not finite"):
        bundle.load(saved, "cpu")
    net.model.load_state_dict({"conv1.bias": bias}, strict=False)
    before = saved.read_bytes()
    with pytest.raises(WorkError, match=r"conv1\.bias has values that are not finite"):
        bundle.save(saved, net)
    assert saved.read_bytes() == before


def test_finite_weights_of_float16_with_a_larger_sum_are_read(saved: Path) -> None:
    weights = load_file(saved)["model.conv1.weight"]
    large = torch.full_like(weights, 60000.0, dtype=torch.float16)
    rewrite(saved, **{"model.conv1.weight": large})
    assert torch.equal(bundle.load(saved, "cpu").model.state_dict()["conv1.weight"], large.float())
    large[0, 0, 0, 0] = torch.inf
    rewrite(saved, **{"model.conv1.weight": large})
    with pytest.raises(DataError, match=r"conv1\.weight has values that are not finite"):
        bundle.load(saved, "cpu")


@pytest.mark.parametrize("missing", [(), ("tensors_xxh3_128",)], ids=str)
def test_a_file_is_compared_once_in_a_process(
    saved: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    drop(saved, *missing)
    made: list[str] = []
    for name in ("tensors_digest", "tensors_xxh3"):
        original = getattr(bundle, name)
        monkeypatch.setattr(
            bundle, name, lambda tensors, name=name, original=original: made.append(name) or original(tensors)
        )
    for _ in range(3):
        bundle.load(saved, "cpu")
    assert made == ["tensors_digest" if missing else "tensors_xxh3"]


def test_the_digest_of_tensors_is_that_of_its_definition() -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor(3, dtype=torch.bfloat16)}
    parts = [
        hashlib.sha256(b"a torch.bfloat16 \n" + bytes.fromhex("4040")).digest(),
        hashlib.sha256(b"b torch.float32 3x2\n" + tensors["b"].contiguous().numpy().tobytes()).digest(),
    ]
    assert bundle.tensors_digest(tensors) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_fast_digest_of_tensors_is_that_of_its_definition() -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor(3, dtype=torch.bfloat16)}
    whole = b"a torch.bfloat16 \n" + bytes.fromhex("4040")
    whole += b"b torch.float32 3x2\n" + tensors["b"].contiguous().numpy().tobytes()
    assert bundle.tensors_xxh3(tensors) == xxhash.xxh3_128_hexdigest(whole)
