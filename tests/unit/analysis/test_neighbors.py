from __future__ import annotations

import numpy as np
import pytest
import reference.neighbors
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

import alexnet
from alexnet.analysis.neighbors import ExactIndex, SearchSpec, open_similar_images
from alexnet.errors import CommandError, DataError


def vectors(seed: int, count: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (count, size)).clip(0).astype(np.float32)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    stored=st.integers(1, 60),
    queried=st.integers(1, 5),
    count=st.integers(1, 9),
    rows=st.integers(1, 70),
)
def test_the_reference_finds_the_same_for_any_chunk_size(seed, stored, queried, count, rows) -> None:
    held, queries = vectors(seed, stored), vectors(seed + 1, queried)
    found = ExactIndex(held, chunk_bytes=rows * (4 * 12 + 28 * queried)).search(queries, count)
    numbers, distances = reference.neighbors.nearest(queries, held, count)
    np.testing.assert_array_equal(found.indices, numbers)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)


def test_vectors_that_differ_in_the_last_digits_are_distinguished() -> None:
    """Almost equal and far from the origin: differences of squares in float32 are useless."""
    steps = np.random.default_rng(0).permutation(200)
    held = (1000 + np.eye(64, dtype=np.float64)[0] * 1e-3 * steps[:, None]).astype(np.float32)
    query = held[steps == 0]
    found = ExactIndex(held, chunk_bytes=50 * (4 * 64 + 28)).search(query, 5)
    expected = reference.neighbors.nearest(query, held, 5)
    np.testing.assert_array_equal(found.indices, expected[0])
    np.testing.assert_allclose(found.distances, expected[1], rtol=1e-12)
    assert found.distances[0, 0] == 0


def test_scikit_learn_finds_the_same() -> None:
    held, queries = vectors(0, 700, 128), vectors(1, 20, 128)
    found = ExactIndex(held, chunk_bytes=300 * (4 * 128 + 28 * 20)).search(queries, 6)
    distances, numbers = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(held).kneighbors(queries)
    np.testing.assert_array_equal(found.indices, numbers)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)


def test_ties_are_sorted_by_index_across_chunks() -> None:
    held = np.ones((10, 3), np.float32)
    found = ExactIndex(held, chunk_bytes=3 * (12 + 28)).search(np.zeros((1, 3), np.float32), 7)
    assert found.indices.tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    np.testing.assert_allclose(found.distances, np.sqrt(3))


def test_a_mapped_file_is_searched_and_not_changed(tmp_path) -> None:
    held = vectors(0, 50)
    np.save(tmp_path / "held.npy", held)
    mapped = np.load(tmp_path / "held.npy", mmap_mode="r")
    found = ExactIndex(mapped, chunk_bytes=1).search(held[:3], 1)
    assert found.indices[:, 0].tolist() == [0, 1, 2]
    assert not found.distances.any()


def test_no_queries_and_wrong_sizes() -> None:
    index = ExactIndex(vectors(0, 5))
    assert index.search(np.empty((0, 12), np.float32), 3).indices.shape == (0, 3)
    with pytest.raises(CommandError, match=r"expected \(Q, 12\)"):
        index.search(np.zeros((1, 11), np.float32), 3)


def test_similar_images_of_a_run_without_the_command_line(make_run, store, tmp_path) -> None:
    run, photo = make_run(), store.path.parent / "photos" / "train" / "class1" / "4.png"
    similar = open_similar_images(run.path, alexnet.load(run.path, "cpu"), SearchSpec(store))
    assert similar.layer == "fc7"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not a photo")
    unreadable, found = similar.attempt([bad, photo], top=2)
    assert isinstance(unreadable, DataError)
    assert found[0].key == "class1/4.png"
    assert len(found) == 2 and found[0].distance <= found[1].distance
