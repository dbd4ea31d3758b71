"""Photos whose labels are probably wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from alexnet.checksum import known_sha256
from alexnet.data.duplicates import drop_duplicates
from alexnet.data.prepare import prepare, prepare_source
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.fitting.label_errors import (
    find_suspects,
    fisher_probabilities,
    labels_of,
    out_of_fold_probabilities,
    ranking,
    suspicious,
)
from alexnet.fitting.splits import with_three_splits
from alexnet.report.sections.fit import suspects_table
from alexnet.runs import predictions
from alexnet.runs.fit_record import Fit
from alexnet.runs.predictions import Predictions, left_out_path
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights

APART = [str(number) for number in range(200)]
"""Groups of one photo each."""


def clusters(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """60 points in three clusters that do not overlap, and the clusters' numbers."""
    labels = np.repeat(np.arange(3), 20)
    centers = 6 * np.eye(3, 8)
    features = centers[labels] + np.random.default_rng(seed).normal(size=(60, 8))
    return features.astype(np.float32), labels


def test_wrong_labels_are_found_first() -> None:
    features, labels = clusters()
    wrong = {5: 1, 31: 2, 59: 0}
    changed = labels.copy()
    changed[list(wrong)] = list(wrong.values())
    probabilities = out_of_fold_probabilities(features, changed, 3, 10.0, 0, APART[:60])
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert set(suspicious(probabilities, changed)[:3]) == set(wrong)
    assert len(suspicious(probabilities, changed)) <= 4
    assert not suspicious(out_of_fold_probabilities(features, labels, 3, 1.0, 0, APART[:60]), labels)


def test_no_photo_is_predicted_by_a_model_that_has_seen_it() -> None:
    """A label that depends on nothing cannot be learned, unless the photo itself is among the others."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(80, 200)).astype(np.float32), np.arange(80) % 2
    predicted = out_of_fold_probabilities(features, labels, 2, 10.0, 0, APART[:80]).argmax(1)
    assert 0.3 < (predicted == labels).mean() < 0.7


def test_no_photo_is_predicted_by_a_model_that_has_seen_its_group() -> None:
    """Pairs of equal photos: each would be predicted by the other one."""
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(40, 200)), 2, axis=0).astype(np.float32)
    labels, pairs = np.repeat(np.arange(40) % 2, 2), [str(number // 2) for number in range(80)]
    alone, together = (
        (out_of_fold_probabilities(features, labels, 2, 10.0, 0, groups).argmax(1) == labels).mean()
        for groups in (APART[:80], pairs)
    )
    assert alone > 0.8 and 0.2 < together < 0.7


def test_a_class_of_one_group_is_not_predicted() -> None:
    features, labels = clusters()
    groups = ["one" if label == 2 else str(number) for number, label in enumerate(labels)]
    found = out_of_fold_probabilities(features, labels, 3, 1.0, 0, groups)
    assert np.isnan(found[labels == 2]).all()
    np.testing.assert_allclose(found[labels < 2].sum(1), 1, atol=1e-6)
    assert np.isnan(out_of_fold_probabilities(features, labels, 3, 1.0, 0, ["all"] * 60)).all()


@pytest.mark.parametrize("counts", [(4, 4), (20, 2), (2, 2, 9)])
def test_few_photos_of_a_class_have_fewer_folds(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    found = out_of_fold_probabilities(features, labels, len(counts), 1.0, 0, APART[: len(labels)])
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_the_most_suspicious_come_first() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    rows = [[0.9, 0.1], [0.04, 0.96], [0.01, 0.99], [0.1, 0.9], [0.3, 0.7], [0.98, 0.02]]
    assert suspicious(np.array(rows), labels) == [2, 5, 1]


def test_the_only_photo_of_a_class_is_not_suspicious() -> None:
    """The model that would predict it knows no other photo of its class."""
    features, labels = clusters()
    labels[0] = 3
    found = out_of_fold_probabilities(features, labels, 4, 1.0, 0, APART[:60])
    assert np.isnan(found[0]).all() and suspicious(found, labels) == []


def test_without_a_probable_other_class_a_photo_is_not_suspicious() -> None:
    rows = np.array([[0.02, 0.49, 0.49], [0.02, 0.6, 0.38], [0.06, 0.9, 0.04]])
    assert suspicious(rows, np.array([0, 0, 0])) == [1]


def test_all_photos_are_ranked_and_those_that_were_not_predicted_are_the_last() -> None:
    rows = [[0.9, 0.1], [0.5, 0.5], [np.nan, np.nan], [0.2, 0.8]]
    assert ranking(np.array(rows), np.array([0, 0, 0, 0])) == [3, 1, 0, 2]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Three copies of a photo with two labels, two with one label, and others."""
    folder = tiny.photos(tmp_path / "all") / "train"
    shutil.copy(folder / "class0" / "3.png", folder / "class1" / "copy.png")
    shutil.copy(folder / "class0" / "3.png", folder / "class0" / "same.png")
    shutil.copy(folder / "class2" / "5.png", folder / "class2" / "other.png")
    return folder


def _prepared(folder: Path, **options: bool) -> Store:
    return prepare_source(folder, folder.parent / "store", side=64, val_fraction=0.3, workers=1, **options)


def test_copies_with_different_labels_come_first_with_the_reason(copies: Path) -> None:
    store = _prepared(copies)
    labels = np.concatenate([store.split(name).labels for name in store.splits])
    probabilities = np.full((len(labels), 3), 0.01)
    probabilities[np.arange(len(labels)), labels] = 0.98
    keys = [(name, key) for name in store.splits for key in store.split(name).keys()]  # noqa: SIM118
    for name in ("class2/1.png", "class1/copy.png"):
        number = next(number for number, (_, key) in enumerate(keys) if key == name)
        probabilities[number] = (0.99, 0.005, 0.005)
    copy, predicted = find_suspects(store, probabilities)
    assert (copy.reason, copy.probability, copy.of_label) == ("copy", None, None)
    assert {copy.label, copy.predicted} == {"class0", "class1"}
    assert {copy.path, copy.copy_of} < {
        str(copies / f"class{place}.png") for place in ("0/3", "0/same", "1/copy")
    }
    assert (predicted.path, predicted.reason) == (str(copies / "class2" / "1.png"), "prediction")
    assert find_suspects(store, None) == (copy,)
    table = suspects_table(_fit(copy, predicted), 5).text()
    assert "copy of" in table and table.index("copy.png") < table.index("class2")
    assert "copy of" not in suspects_table(_fit(predicted), 5).text()


def _fit(*suspects: object) -> Fit:
    return replace(Fit("photos", "", 1.0), suspects=suspects)


def test_dropped_copies_count(copies: Path) -> None:
    (found,) = find_suspects(_prepared(copies, drop_duplicates=True), None)
    assert (found.label, found.predicted, found.reason) == ("class0", "class1", "copy")
    assert found.path == str(copies / "class0" / "3.png") and found.copy_of == str(
        copies / "class1" / "copy.png"
    )


@pytest.mark.parametrize("has_val", [False, True])
def test_a_held_out_photo_with_a_dropped_copy_is_listed_once(tmp_path: Path, has_val: bool) -> None:
    """Also where the source's own `val`, which becomes `test`, has a photo of that name."""
    folder = tiny.photos(tmp_path / "all")
    photos, train = folder if has_val else folder / "train", folder / "train"
    splits = with_three_splits(open_source(photos)).splits
    keys = {name: [split.key(index) for index in range(len(split))] for name, split in splits.items()}
    held_out = [key for key in keys["val"] if key.startswith("class0")]
    key = next(key for key in held_out if not has_val or key in keys["test"])
    shutil.copy(train / key, train / "class1" / "copy.png")
    source = open_source(photos)
    source = with_three_splits(drop_duplicates(source, source.settings, {}, workers=1))
    store = prepare(source, tmp_path / "store", source.settings, workers=1)
    labels = labels_of(store)
    probabilities = np.full((len(labels), 3), 0.01)
    probabilities[np.arange(len(labels)), labels] = 0.98
    before = [(name, each) for name in store.splits for each in store.split(name).keys()]  # noqa: SIM118
    probabilities[before.index(("val", key))] = (0.01, 0.98, 0.01)
    found = [(each.split, each.path, each.copy_of) for each in find_suspects(store, probabilities)]
    assert found == [("val", str(train / key), str(train / "class1" / "copy.png"))]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return tiny.run(tmp_path / "run", tiny.store(tmp_path))


def _save_left_out(run: RunDir, store: Store, count: int = 48) -> np.ndarray:
    """Random probabilities (count, 3) of the training photos."""
    rows = np.random.default_rng(0).dirichlet(np.ones(3), count).astype(np.float32)
    labels = store.split("train").labels[:count].astype(np.int64)
    names = np.array([each.name for each in store.classes])
    saved = _predictions(rows, labels, names, known_sha256(find_weights(run.path).resolve()), store.digest)
    predictions.save(saved, left_out_path(run.path))
    return rows


def _predictions(
    rows: np.ndarray, labels: np.ndarray, names: np.ndarray, weights: str = "", store: str = ""
) -> Predictions:
    return Predictions(
        split="train",
        views=ViewSet("center"),
        keys=np.array([str(number) for number in range(len(rows))]),
        classes=names,
        weights_digest=weights,
        store_digest=store,
        probabilities=rows,
        labels=labels,
        names=names,
    )


def test_training_photos_have_their_predictions_without_themselves_and_others_the_usual_ones(
    run: RunDir, tmp_path: Path
) -> None:
    store = Store.open(tmp_path / "store")
    names, val = np.array(["a", "b", "c"]), store.split("val").labels.astype(np.int64)
    of_val = np.random.default_rng(1).dirichlet(np.ones(3), len(val)).astype(np.float32)
    others = {"val": _predictions(of_val, val, names)}
    assert fisher_probabilities(run, store, others) is None
    left_out = _save_left_out(run, store)
    found = fisher_probabilities(run, store, others)
    assert found is not None
    np.testing.assert_array_equal(found, np.concatenate([left_out, of_val]))
    _save_left_out(run, store, count=40)
    assert fisher_probabilities(run, store, others) is None, "it was trained on a part of the photos"


def test_a_photo_whose_class_is_in_no_other_group_is_not_predicted(run: RunDir, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    _save_left_out(run, store)
    source = replace(store.manifest.source, group_by=r"^class0|[^/]+$")
    store.manifest = replace(store.manifest, source=source)
    val = store.split("val").labels.astype(np.int64)
    others = {"val": _predictions(np.full((len(val), 3), 1 / 3, np.float32), val, np.array(["a", "b", "c"]))}
    found = fisher_probabilities(run, store, others)
    assert found is not None
    assert np.isnan(found[:48]).all(1).tolist() == (store.split("train").labels == 0).tolist()
    assert not np.isnan(found[48:]).any()
