from __future__ import annotations

import threading
import tracemalloc
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data.loader import Batch, Batching, Loader
from alexnet.data.randomness import epoch_order
from alexnet.errors import CommandError, DataError


class FakeSplit:
    """The part of a store's split that the loader uses, in memory."""

    name = "train"

    def __init__(self, images: list[Any], side: int, encoding: str = "raw", shape: str = "square") -> None:
        self.manifest = type(
            "Manifest", (), {"side": side, "encoding": encoding, "shape": shape, "channels": 3}
        )()
        self.labels = np.arange(len(images), dtype=np.int32) % 7
        self.sizes = [image.shape[1::-1] for image in images]
        self.stored = [_jpeg(image) if encoding == "jpeg" else image.tobytes() for image in images]

    def __len__(self) -> int:
        return len(self.stored)

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index]

    def key(self, index: int) -> str:
        return f"n{index:03}.JPEG"

    def buffer(self, index: int) -> memoryview:
        return memoryview(pa.py_buffer(self.stored[index]))  # of signed bytes, as Arrow's views are


def _jpeg(image: Any) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95, colorsubsampling="444")


def numbered(count: int, side: int = 4, **options: Any) -> Any:
    """A split of images of one gray level each, their index."""
    images = [np.full((side, side, 3), number % 256, np.uint8) for number in range(count)]
    return FakeSplit(images, side, **options)


def noisy(count: int, height: int, width: int, **options: Any) -> tuple[Any, list[Any]]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return FakeSplit(list(pixels), min(height, width), **options), list(pixels)


def seen(batches: list[Batch]) -> list[int]:
    return [index for batch in batches for index in batch.indices.tolist()]


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 5), st.booleans())
def test_every_image_comes_once_for_any_number_of_processes(
    count: int, size: int, world: int, shuffled: bool
) -> None:
    order = "each-epoch" if shuffled else "sequential"
    split = numbered(count)
    shares = [
        list(
            Loader(
                split, Batching(size, seed=5, order=order, rank=rank, world_size=world), workers=2
            ).batches(3)
        )
        for rank in range(world)
    ]
    assert sorted(index for share in shares for index in seen(share)) == list(range(count))
    positions = np.concatenate([batch.positions.numpy() for share in shares for batch in share])
    indices = np.array([index for share in shares for index in seen(share)])
    wanted = epoch_order(5, 3, count) if shuffled else np.arange(count)
    assert np.array_equal(wanted[positions], indices)
    for batch in (batch for share in shares for batch in share):
        assert torch.equal(batch.labels, batch.indices % 7)
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)


def test_batches_are_on_the_device() -> None:
    """`meta` stands for devices other than the CPU and CUDA's, such as `mps`."""
    for batch in Loader(numbered(6), Batching(4), device="meta"):
        assert (batch.images.device.type, batch.labels.device.type) == ("meta", "meta")
        assert (batch.indices.device.type, batch.positions.device.type) == ("cpu", "cpu")


def test_processes_share_each_batch_in_order() -> None:
    split = numbered(40)
    whole = [batch.indices for batch in Loader(split, Batching(10)).batches(1)]
    parts = [
        [batch.indices for batch in Loader(split, Batching(10, rank=rank, world_size=4)).batches(1)]
        for rank in range(4)
    ]
    for number, indices in enumerate(whole):
        assert torch.equal(torch.cat([part[number] for part in parts]), indices)


def test_order_changes_each_epoch_or_is_the_same_in_all() -> None:
    split = numbered(50)
    orders: dict[str, list[list[int]]] = {}
    for order in ("each-epoch", "once", "sequential"):
        loader = Loader(split, Batching(8, seed=1, order=order))
        orders[order] = [seen(list(loader.batches(epoch))) for epoch in (0, 1)]
    assert orders["each-epoch"][0] != orders["each-epoch"][1]
    assert orders["once"][0] == orders["once"][1] == orders["each-epoch"][0]
    assert orders["sequential"] == [list(range(50))] * 2


def test_a_resumed_epoch_continues_exactly() -> None:
    split = numbered(50)
    complete = list(Loader(split, Batching(8, seed=2)).batches(6))
    resumed = list(Loader(split, Batching(8, seed=2)).batches(6, start_batch=3))
    assert len(resumed) == len(complete) - 3
    for before, after in zip(complete[3:], resumed, strict=True):
        for name in ("images", "labels", "indices", "positions"):
            assert torch.equal(getattr(before, name), getattr(after, name))


def test_length_and_dropping_of_an_incomplete_batch() -> None:
    split = numbered(20)
    assert len(Loader(split, Batching(8))) == len(list(Loader(split, Batching(8)).batches())) == 3
    whole = Loader(split, Batching(8, drop_last=True))
    assert len(whole) == len(list(whole.batches())) == 2
    assert len(Loader(split, Batching(10))) == len(Loader(split, Batching(10, drop_last=True))) == 2
    with pytest.raises(CommandError, match=r"batch of 21 .* 20 images: type training\.batch_size=20"):
        Loader(split, Batching(21, drop_last=True))


@pytest.mark.parametrize(("count", "sizes"), [(20, [6, 7, 7]), (16, [8, 8]), (17, [5, 6, 6]), (3, [3])])
def test_even_batches_use_all_images_in_nearly_equal_parts(count: int, sizes: list[int]) -> None:
    split = numbered(count)
    batches = list(Loader(split, Batching(8, even=True)).batches(2))
    assert [len(batch.indices) for batch in batches] == [batch.size for batch in batches] == sizes
    assert seen(batches) == epoch_order(0, 2, count).tolist()
    shares = [
        list(Loader(split, Batching(8, even=True, rank=rank, world_size=2)).batches(2)) for rank in (0, 1)
    ]
    assert sorted(seen(shares[0]) + seen(shares[1])) == list(range(count))
    assert {batch.size for batch in shares[1]} <= set(sizes)


def test_balanced_batches_have_the_same_number_of_each_class() -> None:
    split = numbered(50)
    split.labels[:43] = 0
    counts = np.zeros(50, int)
    for epoch in range(2):
        batches = list(Loader(split, Batching(8, seed=3, order="balanced")).batches(epoch))
        assert sum(batch.size for batch in batches) == 50
        of_each = np.bincount(torch.cat([batch.labels for batch in batches]).numpy())
        assert of_each.max() - of_each[of_each > 0].min() <= 1
        counts += np.bincount(seen(batches), minlength=50)
    large = split.labels == 0
    assert counts[large].max() == 1 < counts[~large].min()


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_pixels_equal_the_stored_ones(encoding: str) -> None:
    split, pixels = noisy(30, 16, 16, encoding=encoding)
    for batch in Loader(split, Batching(7)).batches():
        for index, image in zip(batch.indices.tolist(), batch.images.numpy(), strict=True):
            wanted = simplejpeg.decode_jpeg(split.stored[index]) if encoding == "jpeg" else pixels[index]
            assert np.array_equal(image, wanted)


@pytest.mark.parametrize(("height", "width"), [(16, 25), (30, 16), (16, 16)])
def test_whole_images_are_read_as_their_central_square(height: int, width: int) -> None:
    split, _ = noisy(3, height, width, encoding="jpeg", shape="whole")
    (batch,) = Loader(split, Batching(3, order="sequential")).batches()
    top, left = (height - 16) // 2, (width - 16) // 2
    for stored, image in zip(split.stored, batch.images.numpy(), strict=True):
        assert np.array_equal(image, simplejpeg.decode_jpeg(stored)[top : top + 16, left : left + 16])


@pytest.mark.parametrize("damage", ["cut", "empty", "small", "large"])
@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_damaged_image_is_named(damage: str, encoding: str) -> None:
    split, pixels = noisy(30, 16, 16, encoding=encoding)
    good = split.stored[17]
    sized = {"small": pixels[0][:8], "large": np.concatenate(pixels[:2])}
    if damage in sized:
        split.stored[17] = _jpeg(sized[damage]) if encoding == "jpeg" else sized[damage].tobytes()
    else:
        split.stored[17] = good[: len(good) // 2] if damage == "cut" else b""
    with pytest.raises(DataError, match=r"'n017\.JPEG' of split 'train' is damaged"):
        list(Loader(split, Batching(8)).batches())
    assert not _loader_threads()


def test_a_batch_in_use_never_changes() -> None:
    split = numbered(96)
    loader = Loader(split, Batching(8))
    held = [batch for epoch in range(2) for batch in loader.batches(epoch)]
    for batch in held:
        assert torch.equal(batch.images[:, 3, 3, 2].long(), batch.indices)


def test_stopping_early_leaves_no_threads() -> None:
    loader = Loader(numbered(200), Batching(8))
    batches = loader.batches()
    assert len(list(islice(batches, 2))) == 2
    assert _loader_threads()
    batches.close()  # type: ignore[attr-defined]
    assert not _loader_threads()


def test_memory_is_flat_over_epochs() -> None:
    loader = Loader(numbered(64, side=64), Batching(8))
    for _ in loader.batches(0):
        pass
    tracemalloc.start()
    sizes: list[int] = []
    for epoch in range(1, 31):
        for _ in loader.batches(epoch):
            pass
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # One in use, one being filled, two prefetched; each worker may keep one a moment longer.
    most = 4 + loader.workers
    assert loader._buffers.allocated_count <= most
    assert max(sizes[5:]) - sizes[4] < most * 8 * 64 * 64 * 3


def _loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("alexnet-loader")]
