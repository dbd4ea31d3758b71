from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import reference.neighbors

from alexnet.analysis.features import features_of, features_path, graph_path
from alexnet.analysis.neighbors import open_graph
from alexnet.cli.main import main
from alexnet.errors import CommandError
from alexnet.interop.export import export


def vectors(seed: int, count: int) -> np.ndarray:
    """Rectified and of low rank, like those of a trained model."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(0, 1, (10, 64))
    return (np.random.default_rng(seed).normal(0, 1, (count, 10)) @ mixing).clip(0).astype(np.float32)


def test_recall_is_high_and_distances_are_exact(tmp_path) -> None:
    held, queries = vectors(1, 1500), vectors(2, 30)
    found = open_graph(held, tmp_path / "graph.usearch").search(queries, 6)
    numbers, distances = reference.neighbors.nearest(queries, held, 6)
    recall = np.mean(
        [len({*row} & {*wanted}) / 6 for row, wanted in zip(found.indices, numbers, strict=True)]
    )
    assert recall > 0.95
    same = (found.indices == numbers).all(1)
    np.testing.assert_allclose(found.distances[same], distances[same], rtol=1e-12)
    assert (np.diff(found.distances) >= 0).all()


def test_the_file_is_built_once_and_opened_again(tmp_path) -> None:
    held, path, advanced = vectors(1, 300), tmp_path / "graph.usearch", []
    first = open_graph(held, path, advanced.append).search(held, 3)
    again = open_graph(held, path, advanced.append).search(held, 3)
    np.testing.assert_array_equal(first.indices, again.indices)
    assert sum(advanced) == 300
    assert np.mean(first.indices[:, 0] == np.arange(300)) > 0.95


def test_more_neighbors_than_vectors_and_no_queries(tmp_path) -> None:
    index = open_graph(vectors(1, 5), tmp_path / "graph.usearch")
    assert sorted(index.search(vectors(2, 1), 9).indices[0].tolist()) == [0, 1, 2, 3, 4]
    assert index.search(np.empty((0, 64), np.float32), 3).indices.shape == (0, 3)


def test_new_features_remove_the_old_graph(make_run, store) -> None:
    run = make_run()
    path = features_path(run.path, store, "train", "fc7")
    open_graph(features_of(run, store), graph_path(path))
    path.with_suffix(".json").unlink()
    features_of(run, store)
    assert not graph_path(path).exists()


def test_the_command_finds_the_same_with_the_graph(make_run, store, tmp_path, capsys) -> None:
    run, photo = make_run(), store.path.parent / "photos" / "val" / "class1" / "2.png"
    words = ["similar", str(photo), "--model", str(run.path), "--store", str(store.path), "--json"]
    results = []
    for more in ([], ["--approximate"]):
        assert main([*words, *more]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]
    assert graph_path(features_path(run.path, store, "train", "fc7")).is_file()
    export(run.path, tmp_path / "net.safetensors")
    words[3] = str(tmp_path / "net.safetensors")
    assert main([*words, "--approximate"]) == 2
    assert "keeps no graph" in capsys.readouterr().err


def test_without_usearch_the_message_has_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"pip install 'alexnet\[neighbors\]'"):
        open_graph(vectors(1, 5), tmp_path / "graph.usearch")
