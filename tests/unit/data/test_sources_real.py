"""The real images, opened in place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.data.decode import decode
from alexnet.data.sources import open_source

pytestmark = pytest.mark.data


def test_imagenette(shared_data: Path) -> None:
    source = open_source(shared_data / "imagenette-224.tar")
    assert source.form == "train and val folders in a tar"
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 9_469, "val": 1_975}
    assert [c.wnid for c in source.classes][:2] == ["n01440764", "n02102040"]
    assert [c.name for c in source.classes][:2] == ["tench", "English springer"]
    assert source.strays == []
    val = source.splits["val"]
    assert np.bincount(val.labels, minlength=10).min() > 100
    for index in range(0, len(val), 400):
        assert decode(val[index].image).shape == (224, 224, 3)
        assert val.key(index).startswith(source.classes[val.labels[index]].wnid + "/")


def test_tiny_imagenet(shared_data: Path) -> None:
    source = open_source(shared_data / "tiny-imagenet-30.tar")
    assert source.form == "Tiny ImageNet in a tar"
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 15_000, "val": 1_500}
    assert source.strays == []
    for split in source.splits.values():
        assert (np.bincount(split.labels) == len(split) // 30).all()
        for index in range(0, len(split), len(split) // 10):
            example = split[index]
            (box,) = example.boxes
            assert box.label == example.label
            assert 0 <= box.x0 < box.x1 <= 1
            assert 0 <= box.y0 < box.y1 <= 1


def test_mnist(shared_data: Path) -> None:
    source = open_source(shared_data / "mnist")
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 60_000, "val": 10_000}
    assert [c.name for c in source.classes] == [str(digit) for digit in range(10)]
    assert source.splits["train"].labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert decode(source.splits["val"][0].image).shape == (28, 28, 3)


def test_imagenet_sample(shared_data: Path) -> None:
    source = open_source(shared_data / "imagenet-sample")
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 142}
    assert len(source.classes) == 142
    assert source.classes[0].name == "goldfish"
