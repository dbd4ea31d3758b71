from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.report.plots import confusions
from alexnet.report.plots.calibration import ReliabilityPanel, draw_reliability
from alexnet.report.plots.confusions import draw_confusion_matrix, draw_confusions
from alexnet.report.plots.curves import draw_curves
from alexnet.report.plots.filters import draw_filters
from alexnet.report.plots.output import save
from alexnet.report.plots.predictions import draw_mistakes, draw_predictions
from alexnet.tasks.config import task_info


def shown(axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title]]


def test_kernels_are_split_by_tower_and_all_are_there() -> None:
    weights = np.random.default_rng(0).normal(size=(96, 3, 11, 11))
    figure = draw_filters(weights)
    assert len(figure.axes) == 2
    for axes, tower in zip(figure.axes, np.split(weights, 2), strict=True):
        mosaic = shown(axes)
        assert mosaic.shape == (3 * 12 - 1, 16 * 12 - 1, 3)
        for place, kernel in enumerate(tower):
            top, left = place // 16 * 12, place % 16 * 12
            drawn = mosaic[top : top + 11, left : left + 11]
            np.testing.assert_allclose(
                (drawn - 0.5) * 2 * np.abs(kernel).max(), kernel.transpose(1, 2, 0), atol=1e-12
            )


@pytest.mark.parametrize("words", [1, 30])
def test_a_long_title_is_wrapped(words: int) -> None:
    figure = draw_filters(np.ones((32, 3, 5, 5)), 2, " ".join(["a-long-name"] * words))
    figure.canvas.draw()
    title = figure.texts[0].get_window_extent()
    assert 0 <= title.x0 < title.x1 <= figure.bbox.width and title.y1 <= figure.bbox.height + 1


def test_a_kernel_of_zeros_is_gray_and_one_tower_is_one_picture() -> None:
    figure = draw_filters(np.zeros((64, 3, 5, 5), np.float32), towers=1)
    (axes,) = figure.axes
    assert (shown(axes)[:5, :5] == 0.5).all()
    assert "64 kernels" in axes.get_title(loc="left")


def test_each_photo_is_above_its_true_class_and_its_most_probable_ones() -> None:
    photos = [np.full((20 + i, 30, 3), 10 * i, np.uint8) for i in range(5)]
    top = [[("tench, Tinca tinca", 0.5), ("hen", 0.25)]] * 5
    figure = draw_predictions(photos, ["hen", "tench, Tinca tinca", "a", "b", "c"], top)
    pictures = [shown(axes) for axes in figure.axes if axes.images]
    assert sorted(picture[0, 0, 0] for picture in pictures) == [0, 10, 20, 30, 40]
    assert texts(figure).count("tench  0.50") == 5
    bars = [axes.patches for axes in figure.axes if axes.patches]
    first_photo, second_photo, third_photo = (
        [bar.get_facecolor() for bar in patches] for patches in bars[:3]
    )
    assert first_photo[1] == second_photo[0] != third_photo[0] == third_photo[1]
    assert [bar.get_width() for bar in bars[0]] == [0.5, 0.25]


def records(steps_per_epoch: int, scale: float) -> list[dict]:
    """A log of three epochs with two lines an epoch and a drop of the learning rate in the second."""
    lines: list[dict] = [{"event": "start", "step": 0, "epoch": 0}]
    for half in range(1, 7):
        step = half * steps_per_epoch // 2
        epoch = step // steps_per_epoch
        lines.append({"event": "train", "step": step, "epoch": epoch, "loss": scale / half})
        if half % 2 == 0:
            lines.append(
                {"event": "validation", "step": step, "epoch": epoch, "top1_error": scale / (9 * half)}
            )
    lines.append({"event": "learning-rate", "step": steps_per_epoch, "epoch": 1, "learning_rate": 0.001})
    return lines


def test_labels_that_are_doubted_are_not_called_true() -> None:
    """The bars of a doubted label are not the most probable classes, so there is no rank."""
    figures = [
        draw_predictions([np.zeros((8, 8, 3), np.uint8)], ["hen"], [[("cat", 0.9), ("hen", 0.01)]], "", named)
        for named in ("true class", "label")
    ]
    texts = [[axes.get_title() for axes in figure.axes] + [figure.get_supxlabel()] for figure in figures]
    assert "true class ranked 2" in texts[0]
    assert "true class" not in " ".join(texts[1]) and "the label" in texts[1][-1]


def test_curves_of_runs_with_other_batches_share_the_epochs() -> None:
    figure = draw_curves({"small": records(20, 2.0), "large": records(10, 1.0)})
    loss, error = figure.axes
    for axes, epochs in ((loss, [0.5, 1, 1.5, 2, 2.5, 3]), (error, [1, 2, 3])):
        named = {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}
        assert list(named) == ["small", "large"]
        assert all(list(line.get_xdata()) == epochs for line in named.values())
        assert len({(line.get_color(), line.get_linestyle()) for line in named.values()}) == 2
    assert list(error.lines[0].get_ydata()) == [1 / 9, 1 / 18, 1 / 27]
    uprights = [line for line in loss.lines if line.get_linestyle() == ":"]
    assert [list(line.get_xdata()) for line in uprights] == [[1, 1], [1, 1]]
    assert error.yaxis.get_major_formatter()(0.25, 0).startswith("25")


def test_runs_with_other_errors_have_separate_rows_and_axes_name_the_error() -> None:
    logs = {name: records(20, 2.0) for name in ("net", "finder", "placer", "other-net")}
    losses = {"finder": "objects", "placer": "boxes", "net": "squared-error"}
    kinds = {name: task_info(loss).logged for name, loss in losses.items()}
    panels = draw_curves(logs, names=kinds).axes
    assert [axes.get_ylabel() for axes in panels[1::2]] == [
        "top-1 error, one view",
        "1 - mean average precision, whole photos",
        "top-1 localization error, one view",
    ]
    named = [
        [line.get_label() for line in axes.lines if not str(line.get_label()).startswith("_")]
        for axes in panels
    ]
    assert named == [["net", "other-net"]] * 2 + [["finder"]] * 2 + [["placer"]] * 2


def test_many_runs_of_two_kinds_share_one_legend_in_their_order() -> None:
    names = [f"run {number}" for number in range(6)]
    kinds = {name: task_info("boxes").logged for name in names[::2]}
    (legend,) = draw_curves({name: records(20, 2.0) for name in names}, names=kinds).legends
    assert [text.get_text() for text in legend.get_texts()] == names


@pytest.mark.parametrize("error", [1.0, 0.94, 0.02])
def test_the_highest_point_is_inside_the_axes(error: float) -> None:
    lines = [
        {"event": "validation", "step": epoch, "epoch": epoch, "top1_error": error - epoch / 1e6}
        for epoch in range(1, 4)
    ]
    axes = draw_curves({"run": lines}).axes[1]
    low, high = axes.get_ylim()
    assert low == 0 and error * 1.04 < high < error * 1.2


def test_lines_are_weighted_by_their_updates() -> None:
    lines: list[dict] = [
        {"event": "train", "step": step, "epoch": step // 10, "loss": loss}
        for step, loss in ((4, 2.0), (8, 1.0), (9, 9.0), (10, 9.0), (14, 3.0))
    ]
    lines.append({"event": "validation", "step": 10, "epoch": 1, "top1_error": 0.5})
    loss = draw_curves({"run": lines}).axes[0].lines[0]
    np.testing.assert_allclose(loss.get_xdata(), [0.4, 0.8, 1.4])
    np.testing.assert_allclose(loss.get_ydata(), [2.0, 1.0, (9 + 9 + 4 * 3) / 6])


def test_a_run_without_a_finished_epoch_can_be_drawn(tmp_path: Path) -> None:
    started = [record for record in records(20, 2.0) if record["step"] <= 10]
    assert save(draw_curves({"started": started, "empty": []}), tmp_path / "curves.png").stat().st_size


def test_the_same_figure_is_the_same_png_to_the_byte(tmp_path: Path) -> None:
    figure = draw_filters(np.random.default_rng(0).normal(size=(4, 3, 5, 5)))
    first, second = save(figure, tmp_path / "new" / "first.png"), save(figure, tmp_path / "second.png")
    assert first.read_bytes() == second.read_bytes()


def test_a_saved_png_is_a_picture_and_no_window_system_is_touched(tmp_path: Path) -> None:
    path = save(draw_filters(np.zeros((4, 3, 5, 5))), tmp_path / "filters.png")
    with Image.open(path) as picture:
        assert picture.width > 800
    assert "matplotlib.pyplot" not in sys.modules


def test_every_mistake_is_shown_with_its_true_and_predicted_class() -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (14, 32, 32, 1), dtype=np.uint8))
    names = [str(number % 10) for number in range(14)]
    figure = draw_mistakes(images, names, names[1:] + names[:1])
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 14
    for axes, image in zip(drawn, images, strict=True):
        np.testing.assert_array_equal(shown(axes).reshape(32, 32), image[:, :, 0])
    assert [text for text in texts(figure) if text] == [
        f"{true}\N{RIGHTWARDS ARROW}{predicted}"
        for true, predicted in zip(names, names[1:] + names[:1], strict=True)
    ]
    assert not [axes for axes in draw_mistakes([], [], []).axes if axes.images]


def test_some_of_very_many_mistakes_are_shown() -> None:
    numbers = [str(number) for number in range(1000)]
    figure = draw_mistakes([np.zeros((4, 4, 1), np.uint8)] * 1000, numbers, numbers)
    assert "200 of 1,000 misclassified" in figure.get_supxlabel()
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == 200 and titles[0].startswith("0") and titles[-1].startswith("999")


def test_confusions_are_bars_in_the_order_given() -> None:
    figure = draw_confusions([("4", "9", 12), ("9", "4", 10)], images=10_000)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [12, 10]
    assert [label.get_text()[0] for label in axes.get_yticklabels()] == ["4", "9"]
    assert "no confusions" in texts(draw_confusions([], images=5))


def test_a_confusion_matrix_has_true_classes_as_rows_and_colors_by_their_share() -> None:
    counts = np.array([[3, 1, 0], [0, 100, 0], [2, 0, 2]])
    figure = draw_confusion_matrix(counts, ["cat, tomcat", "dog", "hen"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "hen"]
    drawn = {text.get_position(): text.get_text() for text in axes.texts}
    assert drawn == {(0, 0): "3", (1, 0): "1", (1, 1): "100", (0, 2): "2", (2, 2): "2"}
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first class is at the top"
    (cells,) = axes.collections
    opacity = dict(zip(drawn, cells.get_facecolors()[:, 3].tolist(), strict=True))
    assert opacity[1, 1] == 1 > opacity[0, 0] > opacity[2, 2] == opacity[0, 2] > opacity[1, 0] > 0


def test_a_matrix_of_many_classes_has_neither_numbers_nor_names(monkeypatch) -> None:
    monkeypatch.setattr(confusions, "CLASSES_WITH_COUNTS", 3)
    monkeypatch.setattr(confusions, "CLASSES_WITH_NAMES", 4)
    (few,), (many,) = (draw_confusion_matrix(np.eye(n), ["x"] * n).axes for n in (4, 5))
    assert (len(few.texts), len(few.get_xticklabels())) == (0, 4)
    assert len(many.get_xticklabels()) == 0


def test_a_reliability_diagram_has_bars_of_accuracy_where_there_are_images() -> None:
    nan = float("nan")
    panel = ReliabilityPanel("a", np.array([nan, 0.4, 0.9]), np.array([nan, 0.5, 0.6]), np.array([0, 2, 6]))
    figure = draw_reliability([panel, panel._replace(title="b")])
    above, other, below, _ = figure.axes
    assert [above.get_title(), other.get_title()] == ["a", "b"]
    bars = [(bar.get_x(), bar.get_height()) for bar in above.patches]
    assert bars == [(pytest.approx(1 / 3), 0.5), (pytest.approx(2 / 3), 0.6)]
    assert [bar.get_height() for bar in below.patches] == [0, 0.25, 0.75]
