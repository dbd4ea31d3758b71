from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reference import caffe_files, caffe_nets

import alexnet
from alexnet.cli.main import main
from alexnet.data.classes import imagenet_classes
from alexnet.data.crops import ten
from alexnet.errors import DataError
from alexnet.interop import caffe
from alexnet.published.alexnet import ALEXNET_PARAMETERS, CAFFE_CHANNEL_MEANS

RNG = np.random.default_rng(7)
SQUARE = RNG.integers(0, 256, (256, 256, 3), dtype=np.uint8)
SMALL = {name: [np.ones((1, 2), np.float32), np.ones(1, np.float32)] for name in caffe_nets.SHAPES}
NO_BIAS = caffe_files.alexnet_layers({name: blobs[:1] for name, blobs in SMALL.items()})
FINE_TUNED = [(name.replace("fc8", "fc8_flickr"), *rest) for name, *rest in caffe_files.alexnet_layers(SMALL)]


def import_caffe(file: Path, run: Path, *words: object) -> int:
    return main(["import", str(file), str(run), "--as", "caffe", *map(str, words)])


@pytest.mark.slow
def test_bvlc_alexnet_of_2014_predicts_as_caffe_does(large: Path) -> None:
    """Grouped convolutions, BGR, k=1, and the mean image subtracted at each crop's position."""
    blobs = caffe_nets.random_blobs(1)
    layers = caffe_files.alexnet_layers(blobs)
    (large / "net.caffemodel").write_bytes(
        caffe_files.caffemodel("AlexNet", layers, caffe_files.layer_of_2014)
    )
    mean = (110 + 40 * RNG.random((256, 256, 3))).astype(np.float32) + np.float32([-40, 0, 30])
    planes = mean.transpose(2, 0, 1)[None]
    (large / "mean.binaryproto").write_bytes(caffe_files.old_blob(planes))
    assert import_caffe(large / "net.caffemodel", large / "run", "--mean", large / "mean.binaryproto") == 0
    classifier = alexnet.load(large / "run", "cpu")
    assert sum(parameter.numel() for parameter in classifier.model.parameters()) == ALEXNET_PARAMETERS
    assert classifier.classes == imagenet_classes()
    assert classifier.config.recipe == "alexnet-caffe"
    rows = []
    for y, x, mirrored in ten(256, 227):
        part = np.s_[y : y + 227, x : x + 227]
        turn = np.s_[:, ::-1] if mirrored else np.s_[:]
        rows.append(caffe_nets.probabilities(blobs, SQUARE[part][turn], mean[part][turn], pools_first=False))
    (found,) = classifier.probabilities([SQUARE], views="ten")
    wanted = np.mean(rows, axis=0)
    assert wanted.max() > 3 / 1000
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_caffenet_of_later_years_is_recognized_and_predicts_as_caffe_does(large: Path) -> None:
    blobs = caffe_nets.random_blobs(2)
    layers = caffe_files.alexnet_layers(blobs, pools_first=True)
    (large / "net.caffemodel").write_bytes(caffe_files.caffemodel("any name", layers))
    assert import_caffe(large / "net.caffemodel", large / "run") == 0
    classifier = alexnet.load(large / "run", "cpu")
    assert classifier.config.recipe == "caffenet"
    assert classifier.preprocessing.resized == {"shape": "square", "resize": "warp", "resampling": "bilinear"}
    (found,) = classifier.probabilities([SQUARE], views="center")
    crop = SQUARE[14 : 14 + 227, 14 : 14 + 227]
    mean = np.float32(CAFFE_CHANNEL_MEANS)
    wanted = caffe_nets.probabilities(blobs, crop, mean, pools_first=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    other = caffe_nets.probabilities(blobs, crop[:, :, ::-1], mean, pools_first=True)
    assert np.abs(other - wanted).max() > 1e-3


@pytest.mark.parametrize(
    ("contents", "words", "code", "named"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(99), [], 3, "not a complete file of Caffe"),
        (b'# AlexNet\nname: "AlexNet"\nlayer {\n', [], 3, "is a .prototxt, which describes a model"),
        (caffe_files.caffemodel("AlexNet", NO_BIAS), [], 3, "its layer conv1 has no biases"),
        (caffe_files.caffemodel("AlexNet", FINE_TUNED), [], 3, "fc8_flickr: if one of them is fc8"),
        (caffe_files.caffemodel("AlexNet", FINE_TUNED), ["--rename", "fc8_flickr=fc8"], 2, "has 1 outputs"),
        (caffe_files.caffemodel("x", caffe_files.alexnet_layers(SMALL))[:-40], [], 3, "copy it again"),
        (caffe_files.caffemodel("AlexNet", []), [], 3, "no layers"),
        (caffe_files.caffemodel("AlexNet", [("conv1", 4, "Convolution", ())]), [], 3, "no layer conv1"),
        (caffe_files.caffemodel("x", caffe_files.alexnet_layers(SMALL)), [], 2, "has 1 outputs"),
        (caffe_files.caffemodel("x", [("conv1", 4, "Convolution", ())]), [], 2, "--variant caffe or"),
        (b"", ["--variant", "vgg"], 2, "no variant 'vgg'"),
        (b"", ["--classes", "absent.txt"], 2, "cannot read absent.txt"),
    ],
    ids=[
        "jpeg",
        "prototxt",
        "biases",
        "renamed",
        "rename",
        "cut",
        "empty",
        "no weights",
        "one class",
        "either",
        "variant",
        "classes",
    ],
)
def test_files_that_cannot_be_imported_are_refused_in_one_line_without_a_trace(
    tmp_path: Path, monkeypatch, capsys, contents: bytes, words: list[str], code: int, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.caffemodel").write_bytes(contents)
    assert import_caffe(Path("net.caffemodel"), Path("run"), *words) == code
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.caffemodel"]


def test_a_wrong_shape_of_a_weight_or_of_the_mean_is_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "classes.txt").write_text("only-one\n")
    net = tmp_path / "net.caffemodel"
    net.write_bytes(caffe_files.caffemodel("AlexNet", caffe_files.alexnet_layers(SMALL)))
    assert import_caffe(net, tmp_path / "run", "--classes", tmp_path / "classes.txt") == 3
    assert "conv1.weight is 2 in these weights, 96x3x11x11 in this model" in capsys.readouterr().err
    (tmp_path / "mean").write_bytes(caffe_files.old_blob(np.zeros((1, 3, 4, 4), np.float32)))
    assert import_caffe(net, tmp_path / "run", "--mean", tmp_path / "mean") == 3
    assert "the mean image of this model has (1, 3, 256, 256)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1)])
def test_a_mean_of_one_pixel_is_a_mean_color(tmp_path: Path, shape: tuple[int, ...]) -> None:
    color = np.float64([104, 117, 123])
    np.save(tmp_path / "mean.npy", color.reshape(shape))
    (tmp_path / "mean.binaryproto").write_bytes(
        caffe_files.old_blob(color.astype(np.float32).reshape(1, 3, 1, 1))
    )
    for name in ("mean.npy", "mean.binaryproto"):
        assert caffe.read_mean(tmp_path / name, 256).tolist() == color.tolist()


def test_a_mean_image_in_npy_is_that_of_the_binaryproto(tmp_path: Path) -> None:
    planes = RNG.random((3, 8, 8), np.float32)
    np.save(tmp_path / "mean.npy", planes)
    (tmp_path / "mean.binaryproto").write_bytes(caffe_files.old_blob(planes[None]))
    image, other = (caffe.read_mean(tmp_path / name, 8) for name in ("mean.npy", "mean.binaryproto"))
    np.testing.assert_array_equal(image, planes.transpose(1, 2, 0))
    np.testing.assert_array_equal(image, other)
    (tmp_path / "mean.npy").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="Git-LFS pointer"):
        caffe.read_mean(tmp_path / "mean.npy", 8)
    np.save(tmp_path / "mean.npy", np.array(["a"], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"not a complete \.npy file of numbers"):
        caffe.read_mean(tmp_path / "mean.npy", 8)


def test_an_existing_folder_is_refused_and_unchanged(tmp_path: Path, capsys) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({}))
    assert import_caffe(tmp_path / "net.caffemodel", tmp_path / "run") == 2
    assert "exists: choose another directory" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
