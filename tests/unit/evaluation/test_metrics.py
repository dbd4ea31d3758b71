from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import metrics as twin

from alexnet.data.classes import NO_LABEL
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation import metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet, wilson_interval


def predictions(rows: np.ndarray, labels: np.ndarray) -> Predictions:
    classes = np.array([f"n{c:08}" for c in range(rows.shape[1])])
    keys = np.array([f"image-{i}" for i in range(len(labels))])
    return Predictions(
        split="val",
        views=ViewSet("ten"),
        probabilities=rows.astype(np.float32),
        labels=labels,
        keys=keys,
        classes=classes,
        names=classes,
    )


@st.composite
def scored(draw: st.DrawFn) -> Predictions:
    """Few distinct values, so that ties are common."""
    images, classes = draw(st.integers(1, 12)), draw(st.integers(2, 12))
    values = st.sampled_from([0.0625, 0.125, 0.25, 0.5])
    rows = draw(
        st.lists(st.lists(values, min_size=classes, max_size=classes), min_size=images, max_size=images)
    )
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=images, max_size=images))
    return predictions(np.array(rows), np.array(labels))


@given(scored())
def test_counts_equal_the_reference(shown: Predictions) -> None:
    rows, labels = shown.probabilities.tolist(), shown.labels.tolist()
    found = metrics.evaluate_predictions(shown)
    assert found.top1_errors == twin.errors(rows, labels, 1)
    if len(shown.classes) >= 10:
        assert found.top5_errors == twin.errors(rows, labels, 5)
    else:
        assert found.top5_errors is None
    assert found.nll == pytest.approx(twin.nll(rows, labels), rel=1e-12)
    assert sum(c.top1_errors for c in found.per_class) == found.top1_errors
    assert [c.images for c in found.per_class] == [labels.count(k) for k in range(len(shown.classes))]


@given(scored())
def test_confusions_equal_the_reference_most_frequent_first(shown: Predictions) -> None:
    found = metrics.evaluate_predictions(shown).confusions
    wanted = twin.confusions(shown.probabilities.tolist(), shown.labels.tolist())
    by_wnid = {(f"n{a:08}", f"n{b:08}"): count for (a, b), count in wanted.items()}
    assert [c.images for c in found] == sorted(by_wnid.values(), reverse=True)[: metrics.SHOWN_CONFUSIONS]
    assert all(by_wnid[c.true, c.predicted] == c.images for c in found)


@given(scored())
def test_the_matrix_and_the_classes_count_what_was_predicted(shown: Predictions) -> None:
    labels = shown.labels.tolist()
    predicted = twin.predicted(shown.probabilities.tolist(), labels)
    matrix = metrics.confusion_matrix(shown)
    pairs = list(zip(labels, predicted, strict=True))
    classes = range(len(shown.classes))
    assert matrix.tolist() == [[pairs.count((a, b)) for b in classes] for a in classes]
    found = metrics.evaluate_predictions(shown)
    assert [each.predicted for each in found.per_class] == [predicted.count(k) for k in classes]
    assert [each.images - each.top1_errors for each in found.per_class] == np.diag(matrix).tolist()


@given(scored())
def test_mistakes_are_the_wrong_images_the_most_confident_first(shown: Predictions) -> None:
    rows, labels = shown.probabilities.tolist(), shown.labels.tolist()
    predicted = twin.predicted(rows, labels)
    wrong = {i: rows[i][p] for i, p in enumerate(predicted) if p != labels[i]}
    found = metrics.evaluate_predictions(shown).mistakes
    assert {each.key for each in found} == {f"image-{i}" for i in wrong}
    assert [each.probability for each in found] == sorted(wrong.values(), reverse=True)
    for each in found:
        i = int(each.key.removeprefix("image-"))
        assert (each.true, each.predicted) == (f"n{labels[i]:08}", f"n{predicted[i]:08}")
        assert each.true_probability == rows[i][labels[i]]


def test_of_many_mistakes_the_most_confident_are_kept() -> None:
    wrong = np.linspace(0.5, 0.9, 50)
    rows = np.stack([wrong, 1 - wrong], axis=1)
    found = metrics.evaluate_predictions(predictions(rows, np.ones(50, np.int64))).mistakes
    assert [each.key for each in found] == [f"image-{i}" for i in range(49, 49 - len(found), -1)]
    assert len(found) == metrics.SHOWN_MISTAKES


@given(scored(), st.randoms(use_true_random=False))
def test_neither_the_order_of_images_nor_of_classes_matters(shown: Predictions, random) -> None:
    images = list(range(len(shown.labels)))
    classes = list(range(len(shown.classes)))
    random.shuffle(images)
    random.shuffle(classes)
    moved = predictions(shown.probabilities[images][:, classes], np.argsort(classes)[shown.labels[images]])
    before, after = metrics.evaluate_predictions(shown), metrics.evaluate_predictions(moved)
    assert (before.top1_errors, before.top5_errors, before.nll) == (
        after.top1_errors,
        after.top5_errors,
        after.nll,
    )


def test_a_model_with_equal_probabilities_is_always_wrong() -> None:
    found = metrics.evaluate_predictions(predictions(np.full((4, 10), 0.1), np.array([0, 3, 5, 9])))
    assert (found.top1_errors, found.top5_errors) == (4, 4)


@pytest.mark.parametrize(("errors", "images"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 50), (300, 1975)])
def test_interval_is_wilsons(errors: int, images: int) -> None:
    assert wilson_interval(errors, images) == pytest.approx(twin.wilson(errors, images), abs=1e-5)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_interval_contains_the_rate_and_lies_in_0_to_1(images: int, share: float) -> None:
    errors = round(share * images)
    low, high = wilson_interval(errors, images)
    assert 0 <= low <= errors / images <= high <= 1
    assert low < high


def test_the_line_for_the_file_is_plain_json() -> None:
    rows = np.eye(6)[[0, 1, 2]] * 0.5 + 1 / 12
    line = metrics.evaluate_predictions(predictions(rows, np.array([0, 1, 5]))).to_dict()
    assert json.loads(json.dumps(line)) == line
    assert line["top1_error"] == 1 / 3
    assert line["top1_interval"][0] < 1 / 3 < line["top1_interval"][1]
    assert line["confusions"] == [{"true": "n00000005", "predicted": "n00000002", "images": 1}]


def test_a_probability_of_zero_still_gives_a_finite_nll() -> None:
    assert metrics.mean_nll(np.array([[0.0, 1.0]], np.float32), np.array([0])) == pytest.approx(
        87.34, abs=0.01
    )


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    rows = np.full((2, 6), 1 / 6)
    rows[1, 2] = np.nan
    with pytest.raises(WorkError, match="not finite"):
        metrics.evaluate_predictions(predictions(rows, np.array([0, 1])))


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(WorkError, match="no images"):
        metrics.evaluate_predictions(predictions(np.empty((0, 6)), np.empty(0, np.int64)))


def test_paired_interval_has_its_nominal_coverage() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        draw = generator.random(300)
        before, after = draw < 0.30, (draw > 0.08) & (draw < 0.34)  # 0.08 mended, 0.04 spoilt
        low, high = metrics.paired_interval(before, after)
        held += low <= 0.04 <= high
    assert 0.935 <= held / 2000 <= 0.975


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_paired_interval_turns_round_with_its_arguments(pairs: list[tuple[bool, bool]]) -> None:
    before, after = np.array(pairs).T
    low, high = metrics.paired_interval(before, after)
    other = metrics.paired_interval(after, before)
    assert other == pytest.approx((-high, -low))
    assert -1 <= low < high <= 1


def test_paired_interval_is_narrower_than_two_errors_apart() -> None:
    wrong = np.arange(1000) < 200
    mended = np.arange(1000) < 180
    low, high = metrics.paired_interval(wrong, mended)
    assert 0 < low < 0.02 < high
    apart = wilson_interval(200, 1000)
    assert high - low < apart[1] - apart[0]


def test_images_without_labels_are_refused_and_submit_is_named() -> None:
    rows = np.full((3, 6), 1 / 6, np.float32)
    with pytest.raises(CommandError, match=r"2 of 3 images .* have no label.*alexnet submit"):
        metrics.evaluate_predictions(predictions(rows, np.array([0, NO_LABEL, NO_LABEL])))
