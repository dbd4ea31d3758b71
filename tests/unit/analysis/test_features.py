from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

import alexnet
from alexnet import recipes
from alexnet.analysis import features
from alexnet.analysis.features import features_of, features_path
from alexnet.classic.pipeline import Pipeline
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.evaluation.inference import InferenceOptions
from alexnet.interop.export import export
from alexnet.models.alexnet import AlexNet
from alexnet.models.bundle import OnnxModel
from alexnet.models.config import ALEXNET_VARIANTS
from alexnet.models.lenet import LeNet5, LeNet1989
from alexnet.models.registry import last_hidden_layer


def squares(store, split: str) -> np.ndarray:
    part, shape = store.split(split), (store.side, store.side, 3)
    return np.stack([np.frombuffer(part.buffer(i), np.uint8).reshape(shape) for i in range(len(part))])


def count_passes(monkeypatch) -> list[int]:
    """Collects the number of images of each forward pass."""
    seen, original = [], features._activations

    def counting(*arguments):
        for rows, values in original(*arguments):
            seen.append(len(rows))
            yield rows, values

    monkeypatch.setattr(features, "_activations", counting)
    return seen


def test_features_equal_the_classifiers_and_are_computed_once(make_run, store, monkeypatch) -> None:
    run, seen, advanced = make_run(), count_passes(monkeypatch), []
    found = features_of(run, store, options=InferenceOptions(batch_size=7, progress=advanced.append))
    wanted = alexnet.load(run.path).features(squares(store, "train"), layer="fc7")
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32
    assert sum(seen) == sum(advanced) == len(store.split("train"))
    again = features_of(run, store, options=InferenceOptions(progress=advanced.append))
    np.testing.assert_array_equal(again, found)
    assert sum(seen) == len(store.split("train"))
    assert sum(advanced) == 2 * len(store.split("train"))
    assert features_path(run.path, store, "train", "fc7").is_file()


def test_other_weights_another_store_and_a_truncated_file_are_recomputed(
    make_run, store, tmp_path, monkeypatch
) -> None:
    run, other = make_run("run"), make_run("other", seed=6)
    first = np.array(features_of(run, store))
    for weights in ("checkpoints",):
        shutil.rmtree(run.path / weights)
        shutil.copytree(other.path / weights, run.path / weights)
    assert np.abs(np.array(features_of(run, store)) - first).max() > 0.01
    elsewhere = prepare(
        open_source(store.path.parent / "photos"), tmp_path / "jpeg", PrepareSettings(side=72), workers=1
    )
    seen = count_passes(monkeypatch)
    features_of(run, elsewhere)
    assert seen
    seen.clear()
    path = features_path(run.path, elsewhere, "train", "fc7")
    path.write_bytes(path.read_bytes()[:1000])
    assert len(features_of(run, elsewhere)) == sum(seen) == len(elsewhere.split("train"))


def test_an_interrupted_computation_resumes(make_run, store, monkeypatch) -> None:
    run, images, advanced = make_run(), len(store.split("train")), []
    wanted = np.array(features_of(make_run("whole"), store))
    monkeypatch.setattr(features, "IMAGES_PER_CHUNK", 16)
    original = features._activations

    def stopped(*arguments):
        if arguments[1].name == "train" and len(list((run.path / "features").glob("*.part.npy"))):
            raise KeyboardInterrupt
        yield from original(*arguments)

    monkeypatch.setattr(features, "_activations", stopped)
    with pytest.raises(KeyboardInterrupt):
        features_of(run, store)
    monkeypatch.setattr(features, "_activations", original)
    seen = count_passes(monkeypatch)
    np.testing.assert_allclose(
        features_of(run, store, options=InferenceOptions(progress=advanced.append)),
        wanted,
        rtol=1e-4,
        atol=1e-5,
    )
    assert sum(seen) == images - 16 and sum(advanced) == images
    path = features_path(run.path, store, "train", "fc7")
    assert {each.name for each in path.parent.iterdir()} == {path.name, path.with_suffix(".json").name}


def test_features_of_two_stores_are_kept(make_run, store, tmp_path, monkeypatch) -> None:
    run = make_run()
    other = prepare(
        open_source(store.path.parent / "photos"), tmp_path / "jpeg", PrepareSettings(side=72), workers=1
    )
    first, second = (np.array(features_of(run, each)) for each in (store, other))
    seen = count_passes(monkeypatch)
    np.testing.assert_array_equal(features_of(run, store), first)
    np.testing.assert_array_equal(features_of(run, other), second)
    assert not seen


def test_checkpoints_layers_and_splits_have_separate_files(make_run, store) -> None:
    run = make_run()
    assert features_of(run, store, "val", "conv5", options=InferenceOptions(checkpoint="best")).shape[
        0
    ] == len(store.split("val"))
    assert features_path(run.path, store, "val", "conv5", "best").name.startswith("val-conv5-best-")
    assert features_path(run.path, store, "val", "conv5", "best").is_file()


def test_an_exported_file_gives_the_same_features_and_keeps_nothing(make_run, store, tmp_path) -> None:
    run = make_run()
    file = tmp_path / "out" / "net.safetensors"
    export(run.path, file)
    found = features_of(type(run)(file), store)
    np.testing.assert_array_equal(found, features_of(run, store))
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_errors_are_one_line(make_run, store, tmp_path) -> None:
    run = make_run()
    with pytest.raises(CommandError, match=r"no layer 'fc9'; choose from: conv1, .*fc7"):
        features_of(run, store, layer="fc9")
    with pytest.raises(CommandError, match="no split 'test'"):
        features_of(run, store, "test")
    smaller = prepare(
        open_source(store.path.parent / "photos"), tmp_path / "small", PrepareSettings(side=64), workers=1
    )
    with pytest.raises(DataError, match="side 64 for 72"):
        features_of(run, smaller)


def test_nan_features_leave_no_file(make_run, store, monkeypatch) -> None:
    run = make_run()
    monkeypatch.setattr(
        AlexNet, "activations", lambda self, images: {"fc7": images.flatten(1) * float("nan")}
    )
    with pytest.raises(WorkError, match="produced NaN or Inf"):
        features_of(run, store)
    assert not list((run.path / "features").iterdir())


def test_the_last_hidden_layer() -> None:
    assert (
        last_hidden_layer(AlexNet(replace(ALEXNET_VARIANTS["2012"], widths=(8, 8, 8, 8, 8, 16, 16)), crop=64))
        == "fc7"
    )
    assert last_hidden_layer(LeNet5()) == "F6"
    assert last_hidden_layer(LeNet1989()) == "H3"
    config = recipes.get("sift-fv").classic
    assert config is not None
    with pytest.raises(CommandError, match="with --layer, in Python with layer=: channel1"):
        last_hidden_layer(Pipeline(config, 3, 72))
    with pytest.raises(CommandError, match=r"\.safetensors"):
        last_hidden_layer(OnnxModel.__new__(OnnxModel))


@pytest.mark.parametrize("damage", ["zeros", "bit", "note"])
def test_damaged_features_are_computed_again(make_run, store, monkeypatch, damage: str) -> None:
    run, seen = make_run(), count_passes(monkeypatch)
    wanted = np.array(features_of(run, store))
    file = features_path(run.path, store, "train", "fc7")
    data = bytearray(file.read_bytes())
    if damage == "note":
        file.with_suffix(".json").write_text("{")
    else:
        data[-64:] = bytes(64) if damage == "zeros" else bytes([data[-64] ^ 1, *data[-63:]])
        file.write_bytes(data)
    seen.clear()
    np.testing.assert_array_equal(features_of(run, store), wanted)
    assert sum(seen) == len(store.split("train"))


def test_unfinished_features_that_are_damaged_are_computed_again(make_run, store, monkeypatch) -> None:
    monkeypatch.setattr(features, "IMAGES_PER_CHUNK", 10)
    run, original = make_run(), features._extract
    wanted = np.array(features_of(run, store))
    file = features_path(run.path, store, "train", "fc7")
    file.with_suffix(".json").unlink()
    chunks = []

    def stops(*arguments, **options):
        chunks.append(arguments)
        if len(chunks) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(features, "_extract", stops)
    with pytest.raises(KeyboardInterrupt):
        features_of(run, store)
    monkeypatch.setattr(features, "_extract", original)
    unfinished = file.with_suffix(".part.npy")
    vectors = np.load(unfinished, mmap_mode="r+")
    vectors[7] = 0
    vectors.flush()
    seen = count_passes(monkeypatch)
    np.testing.assert_array_equal(features_of(run, store), wanted)
    assert sum(seen) == len(store.split("train"))
