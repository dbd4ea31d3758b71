from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from unit.data.memory_source import photo

from alexnet.data.store_notes import pixels_hash


@given(
    st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 255)
)
def test_every_pixel_and_the_shape_are_in_the_hash(
    seed: int, height: int, width: int, channels: int, change: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    found = pixels_hash(pixels)
    assert pixels_hash(pixels.copy()) == found
    other = pixels.copy()
    other.reshape(-1)[rng.integers(other.size)] ^= np.uint8(change)
    assert pixels_hash(other) != found
    if height != width:
        assert pixels_hash(pixels.reshape(width, height, channels)) != found


def test_large_photos_are_hashed_whole_and_in_order() -> None:
    """Longer than the weights: the parts must not be exchangeable."""
    pixels = np.random.default_rng(0).integers(0, 256, (2048, 1024, 1), dtype=np.uint8)
    hashes = {pixels_hash(pixels), pixels_hash(np.roll(pixels, 1024, axis=0))}
    for place in (0, 1 << 20, (1 << 21) - 1):
        other = pixels.copy()
        other.reshape(-1)[place] ^= 128
        hashes.add(pixels_hash(other))
    assert len(hashes) == 5


def test_changes_of_two_highest_bytes_do_not_cancel() -> None:
    """A sum over groups of eight values counts a change of the highest one modulo 256 only."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 16, 1), dtype=np.uint8)
    found = pixels_hash(pixels)
    for _ in range(3000):
        other = pixels.copy()
        places = 7 + 8 * rng.choice(pixels.size // 8, 2, replace=False)
        other.reshape(-1)[places] ^= rng.integers(1, 256, 2, dtype=np.uint8)
        assert pixels_hash(other) != found


def test_a_view_has_the_hash_of_its_copy() -> None:
    pixels = photo(1)[::-1, ::2]
    assert pixels_hash(pixels) == pixels_hash(pixels.copy())


def test_hashes_are_those_of_stores_made_before() -> None:
    """They are kept in stores and compared with those of later versions."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert pixels_hash(pixels) == "4x5x3-b9328d23bb629fefaa70eeb2f57a06b4"
