from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from alexnet.data.crops import ten
from alexnet.report.plots.activations import MAPS_SHOWN, draw_activations, strongest
from alexnet.report.plots.confusions import draw_confusions
from alexnet.report.plots.crops import PredictedCrop, draw_crops
from alexnet.report.plots.curves import draw_curves
from alexnet.report.plots.errors import Bar, draw_errors
from alexnet.report.plots.filters import draw_filters
from alexnet.report.plots.neighbors import draw_neighbors
from alexnet.report.plots.output import save
from alexnet.report.plots.photo_map import MOST_NAMED, draw_map
from alexnet.report.plots.predictions import choose_examples, draw_predictions, verdict
from alexnet.report.plots.saliency import SaliencyRow, draw_saliency
from alexnet.report.plots.style import COLORS, figure_title

TITLE = figure_title("run", "nette val", 1975)


def pictures(count: int, side: int = 12, channels: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8))


def shown(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def titles(figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def crops(predicted: list[tuple[str, float]]) -> list[PredictedCrop]:
    places = ten(12, 8).tolist()
    return [PredictedCrop(y, x, bool(m), *best) for (y, x, m), best in zip(places, predicted, strict=True)]


PHOTOS, RNG = pictures(3), np.random.default_rng(0)
FIGURES = {
    "neighbors": lambda: draw_neighbors([(PHOTOS[0], "a")], [[(PHOTOS[1], "a", 1.5)]], TITLE, ["a"]),
    "predictions": lambda: draw_predictions(PHOTOS, ["a", "b", "c"], [[("a", 0.5)]] * 3, TITLE),
    "confusions": lambda: draw_confusions([("a", "b", 3)], 1975, TITLE, [PHOTOS]),
    "errors": lambda: draw_errors([Bar("a", 0.2, (0.1, 0.3)), Bar("b", 0.4, published=True)], title=TITLE),
    "crops": lambda: draw_crops(PHOTOS[0], crops([("a", 0.5)] * 10), 8, ("a", 0.5), "a", TITLE),
    "activations": lambda: draw_activations(PHOTOS[0], {"conv1": RNG.random((4, 3, 3))}, TITLE),
    "saliency": lambda: draw_saliency(
        [SaliencyRow(each, "a", 0.5, RNG.random((12, 12))) for each in PHOTOS], TITLE
    ),
    "map": lambda: draw_map(RNG.random((9, 2)), np.arange(9) % 3, ["a", "b", "c"], "PCA of fc7", TITLE),
    "curves": lambda: draw_curves({"run": []}, TITLE),
    "filters": lambda: draw_filters(RNG.random((4, 3, 5, 5)), title=TITLE),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_is_written_in_both_formats(name, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    assert figure.get_suptitle() == "run \N{EN DASH} nette val, 1,975 images"
    assert save(figure, tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in save(figure, tmp_path / "figure.svg").read_text()


def test_one_image_is_one_image() -> None:
    assert figure_title("run", "nette val", 1).endswith("1 image")


def test_neighbors_are_drawn_next_to_their_photo_in_order() -> None:
    photos = pictures(7, channels=1)
    near = [[(photos[2], "hen", 1.0), (photos[3], "cock", 2.0)], [(photos[4], "cock", 0.5)]]
    figure = draw_neighbors([(photos[0], "hen"), (photos[1], "cock")], near, true_names=["hen", "cock"])
    for drawn, wanted in zip(shown(figure), [photos[i] for i in (0, 2, 3, 1, 4)], strict=True):
        np.testing.assert_array_equal(drawn.reshape(12, 12), wanted[..., 0])
    assert titles(figure) == ["hen", "hen", "cock", "cock", "cock", ""]
    frames = [axes.spines["top"] for axes in figure.axes]
    styles = [(frame.get_edgecolor(), frame.get_linestyle()) for frame in (frames[1], frames[2], frames[4])]
    assert styles[0] == styles[2] == (to_rgba(COLORS[0]), "-")
    assert styles[1] == (to_rgba(COLORS[1]), "--")
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["1.00", "2.00", "0.500"]


def test_many_neighbors_continue_in_the_next_line() -> None:
    photos = pictures(26)
    near = [
        [(photo, "hen", float(place)) for place, photo in enumerate(photos[:24])],
        [(photos[24], "a", 1.0)],
    ]
    figure = draw_neighbors([(photos[25], "hen"), (photos[0], "cock")], near)
    assert [axes.get_title() for axes in figure.axes[::11]] == ["hen", "", "", "cock"]
    wanted = [photos[25], *photos[:24], photos[0], photos[24]]
    for drawn, picture in zip(shown(figure), wanted, strict=True):
        np.testing.assert_array_equal(drawn, picture)


def test_a_photo_of_no_known_class_has_no_frames() -> None:
    photos = pictures(2)
    figure = draw_neighbors([(photos[0], "new.jpg")], [[(photos[1], "hen", 1.0)]])
    assert not any(axes.axison for axes in figure.axes)


def test_examples_are_right_then_close_then_wrong_and_evenly_spread() -> None:
    labels = np.zeros(90, np.int64)
    probabilities = np.tile(np.linspace(0.2, 0.05, 8), (90, 1))  # right
    probabilities[30:60, 0] = 0.16  # second or third
    probabilities[60:, 0] = 0.01  # not among five
    chosen = choose_examples(probabilities, labels, each=4)
    assert chosen.tolist() == [0, 9, 19, 29, 30, 39, 49, 59, 60, 69, 79, 89]
    few = choose_examples(probabilities[28:62], labels[28:62], each=4)
    assert len(few) == 10 and len(set(few.tolist())) == 10
    assert choose_examples(probabilities[:0], labels[:0]).tolist() == []


def test_ties_count_against_the_model_as_in_the_errors() -> None:
    assert choose_examples(np.full((1, 3), 1 / 3), np.array([0]), each=1).tolist() == [0]
    assert verdict("a", ["a", "b"]) == "correct"
    assert verdict("b", ["a", "b"]) == "true class ranked 2"
    assert verdict("c", ["a", "b"]) == "not among these 2"


def test_confused_photos_are_drawn_next_to_the_bar_of_their_pair() -> None:
    photos = pictures(5)
    figure = draw_confusions([("4", "9", 12), ("9", "4", 10)], 1000, examples=[photos[:2], photos[2:]])
    for drawn, wanted in zip(shown(figure), photos, strict=True):
        np.testing.assert_array_equal(drawn, wanted)
    first, second, third = (figure.axes[i].get_subplotspec() for i in (1, 2, 3))
    assert first.rowspan == second.rowspan != third.rowspan


def test_bars_of_errors_have_their_intervals_and_their_numbers() -> None:
    bars = [Bar("paper", 0.375, published=True), Bar("ours", 0.2, (0.18, 0.23))]
    (axes,) = draw_errors(bars).axes
    assert [bar.get_width() for bar in axes.patches] == [0.375, 0.2]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [True, False]
    (segments,) = [line.get_segments() for line in axes.collections]
    np.testing.assert_allclose(segments[0][:, 0], [0.18, 0.23])
    words = [text.get_text() for text in axes.texts]
    assert words == ["37.5 %", "20.0 % (18.0 % \N{EN DASH} 23.0 %)"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["paper", "ours"]


@pytest.mark.parametrize("error", [0.02, 0.7, 1.0])
def test_texts_of_bars_are_inside_the_figure_and_no_tick_is_above_all(error: float) -> None:
    bars = [Bar("paper", 0.375, published=True), Bar("ours", error, (0.9 * error, error))]
    figure = draw_errors(bars, title=TITLE)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert all(tick <= 1 for tick in axes.get_xticks())
    for text in (*figure.texts, *axes.texts, axes.xaxis.label, *axes.get_yticklabels()):
        extent = text.get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width + 1, text


def test_every_crop_is_the_part_of_the_photo_in_its_frame() -> None:
    (photo,) = pictures(1)
    ranked = [(f"class {number}", number / 10) for number in range(10)]
    figure = draw_crops(photo, crops(ranked), 8, ("class 3", 0.4), "class 1")
    whole, *views = shown(figure)
    np.testing.assert_array_equal(whole, photo)
    for view, (y, x, mirrored) in zip(views, ten(12, 8).tolist(), strict=True):
        part = photo[y : y + 8, x : x + 8]
        np.testing.assert_array_equal(view, part[:, ::-1] if mirrored else part)
    whole_title, *view_titles = titles(figure)
    assert "class 3 0.40" in whole_title and "class 1" in whole_title
    assert view_titles[0] == "1\nclass 0 0.00" and view_titles[9] == "5, mirrored\nclass 9 0.90"
    frames = [patch for patch in figure.axes[0].patches if patch.get_edgecolor() != to_rgba("white")]
    corners = {(frame.get_x(), frame.get_y()) for frame in frames}
    assert corners == {(x - 0.5, y - 0.5) for y, x, _ in ten(12, 8).tolist()}
    assert len({(frame.get_edgecolor(), str(frame.get_linestyle())) for frame in frames}) == 5


def test_the_strongest_maps_of_a_layer_are_shown_and_all_its_units() -> None:
    maps = np.random.default_rng(0).random((20, 3, 3))
    maps[7] += 5
    assert strongest(maps)[0] == 7 and len(strongest(maps)) == MAPS_SHOWN
    units = np.arange(300.0)
    figure = draw_activations(pictures(1)[0], {"conv1": maps, "fc": units})
    drawn = shown(figure)
    np.testing.assert_array_equal(drawn[1], maps[7])
    field = drawn[-1]
    assert field.shape == (3, 128)
    np.testing.assert_array_equal(field[np.isfinite(field)], units)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "conv1" in words and any("20 x 3 x 3 maps" in word for word in words)


def test_heat_lies_over_the_gray_photo() -> None:
    views, rng = pictures(2), np.random.default_rng(0)
    heats, drops = rng.random((2, 12, 12)), rng.random((2, 3, 3)) - 0.5
    predicted = [("hen", 0.7), ("cock", 0.6)]
    rows = zip(views, predicted, heats, drops, strict=True)
    figure = draw_saliency([SaliencyRow(view, *best, *maps, "hen") for view, best, *maps in rows])
    layered = [axes for axes in figure.axes if len(axes.images) == 2]
    assert len(layered) == 4
    np.testing.assert_array_equal(layered[0].images[1].get_array(), heats[0])
    np.testing.assert_array_equal(layered[1].images[1].get_array(), drops[0])
    low, high = layered[1].images[1].get_clim()
    assert -low == high == np.abs(drops).max()
    assert layered[0].images[1].get_extent() == [-0.5, 11.5, 11.5, -0.5]


def test_each_class_of_a_map_has_its_own_color_and_marker() -> None:
    rng, classes = np.random.default_rng(0), 20
    labels = np.repeat(np.arange(classes), 5)
    points = rng.random((len(labels), 2))
    figure = draw_map(points, labels, [f"class {label}" for label in range(classes)], "PCA of fc7")
    (axes,) = figure.axes
    assert len(axes.collections) == classes
    np.testing.assert_array_equal(axes.collections[3].get_offsets(), points[labels == 3])
    looks = {
        (tuple(each.get_facecolor()[0]), each.get_paths()[0].vertices.tobytes()) for each in axes.collections
    }
    assert len(looks) == classes
    assert [text.get_text() for text in axes.texts] == [f"class {label}" for label in range(classes)]


def test_of_very_many_classes_none_is_named_and_unlabeled_images_are_left_out() -> None:
    labels = np.append(np.arange(MOST_NAMED + 1), -1)
    figure = draw_map(np.random.default_rng(0).random((len(labels), 2)), labels, ["x"] * 99, "PCA")
    (axes,) = figure.axes
    assert not axes.texts and not figure.legends
    assert sum(len(each.get_offsets()) for each in axes.collections) == MOST_NAMED + 1
