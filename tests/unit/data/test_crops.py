from __future__ import annotations

import numpy as np
import reference.views as twin
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data import crops
from alexnet.data.crops import center, cut, grid, ten


def test_ten_positions_are_those_of_2012() -> None:
    offsets = [[0, 0], [0, 32], [32, 0], [32, 32], [16, 16]]
    assert ten(256, 224)[:, :2].tolist() == offsets * 2
    assert ten(256, 224)[:, 2].tolist() == [0] * 5 + [1] * 5


def test_center_is_rounded_down() -> None:
    for side, crop, offset in [(256, 224, 16), (256, 227, 14), (128, 112, 8), (64, 64, 0)]:
        assert center(side, crop).tolist() == [[offset, offset, 0]]
        assert ten(side, crop)[4].tolist() == [offset, offset, 0]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 224))
def test_a_grid_is_regular_from_border_to_border_and_mirrored(down: int, right: int, crop: int) -> None:
    positions = grid(crop + down, crop + right, crop)
    assert positions.shape == (50, 3)
    plain, mirrored = positions[:25].reshape(5, 5, 3), positions[25:].reshape(5, 5, 3)
    assert np.array_equal(plain[..., :2], mirrored[..., :2])
    assert (plain[..., 2] == 0).all() and (mirrored[..., 2] == 1).all()
    for axis, last in enumerate((down, right)):
        offsets = plain[:, 0, 0] if axis == 0 else plain[0, :, 1]
        assert (offsets[0], offsets[-1]) == (0, last)
        assert np.ptp(np.diff(offsets)) <= 1
    assert (plain[..., 0] == plain[:, :1, 0]).all() and (plain[..., 1] == plain[:1, :, 1]).all()


@given(st.data(), st.sampled_from([torch.uint8, torch.float32]), st.sampled_from([1, 3]))
def test_cut_and_its_device_form_equal_slicing(
    data: st.DataObject, dtype: torch.dtype, channels: int
) -> None:
    count, number = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(4, 12)), data.draw(st.integers(4, 12))
    crop = data.draw(st.integers(1, 4))
    place = st.tuples(st.integers(0, height - crop), st.integers(0, width - crop), st.integers(0, 1))
    places = data.draw(
        st.lists(st.lists(place, min_size=number, max_size=number), min_size=count, max_size=count)
    )
    images = torch.arange(count * height * width * channels).reshape(count, height, width, channels).to(dtype)
    wanted = twin.cut(images, crop, places)
    assert torch.equal(cut(images, crop, np.array(places)), wanted)
    assert torch.equal(crops._gather(images, crop, np.array(places)), wanted)


def test_the_same_positions_for_all_images() -> None:
    images = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    squares = cut(images, 12, ten(16, 12))
    assert squares.shape == (3, 10, 12, 12, 3)
    assert torch.equal(squares[:, 5:], squares[:, :5].flip(3))
    assert torch.equal(squares[:, 4, 0, 0], images[:, 2, 2])
