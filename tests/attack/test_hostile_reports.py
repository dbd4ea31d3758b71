"""Reports on photos that are all alike, and with names that no one would choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.figure import Figure
from PIL import Image

from alexnet.analysis.projection import principal_components, t_sne
from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.errors import CommandError
from alexnet.report.page import Missing
from alexnet.report.plots.output import embedded
from alexnet.report.plots.style import put_title, short
from alexnet.report.sections.model import drawn
from alexnet.report.sections.subjects import Drawn

MATHEMATICS = (r"$\bad{$", "$x$ and $y$", "$$", r"\$", "100 $", r"$\frac{1}{0}$", "${", "a_b^c")
CLASSES = (r"$\bad{$", "\x1b[31m\udcff\n", "<script>alert(1)</script>")


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((40, 60), np.float32),
        np.full((40, 60), 3.7, np.float32),
        np.repeat(np.random.default_rng(0).random((1, 60), np.float32), 40, axis=0),
        np.full((40, 60), np.nan, np.float32),
        np.full((40, 60), np.inf, np.float32),
    ],
    ids=["zeros", "constant", "repeated", "not a number", "infinite"],
)
def test_no_map_is_made_of_features_that_are_alike(vectors: np.ndarray) -> None:
    """Barnes-Hut's code ends in a segmentation fault where coordinates are not numbers."""
    for project in (t_sne, principal_components):
        with pytest.raises(CommandError, match=r"same features|not finite"):
            project(vectors)


def test_a_map_is_made_if_one_image_differs() -> None:
    vectors = np.ones((40, 60), np.float32)
    vectors[7] = 2
    assert np.isfinite(t_sne(vectors)).all()


@pytest.mark.parametrize("name", MATHEMATICS)
def test_mathematics_in_names_is_shown_literally(name: str) -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.set_title(short(name))
    put_title(figure, f"{name} {'and a long title ' * 10}")
    source, width, height = embedded(figure)
    assert source.startswith("data:image/svg+xml")
    assert min(width, height) > 0
    (shown,) = [each for each in figure.texts if "long title" in each.get_text()]
    assert shown._preprocess_math(shown.get_text()) == (f"{name} {'and a long title ' * 10}", False)


def test_a_figure_that_cannot_be_drawn_is_named() -> None:
    def fails() -> Drawn:
        raise ValueError("math domain error\nsecond line")

    def fails_later() -> Drawn:
        figure = Figure()
        figure.text(0, 0, r"$\bad{$", parse_math=True)
        return Drawn(figure, "")

    for make in (fails, fails_later):
        part = drawn(make, "map of the images", lambda name, figure: None)
        assert isinstance(part, Missing)
        assert part.sentence.startswith("No map of the images: it could not be drawn (ValueError: ")
        assert "\n" not in part.sentence


@pytest.mark.slow
def test_a_report_has_all_other_figures(tmp_path: Path) -> None:
    """All validation photos are black, and classes have hostile names."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for name in CLASSES:
            place = tmp_path / "photos" / split / name.replace("/", "")
            place.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 255, (72, 72, 3), np.uint8) * (split == "train")
                Image.fromarray(noise.astype(np.uint8)).save(place / f"{number}.png")
    source = open_source(tmp_path / "photos")
    store = prepare(source, tmp_path / "store", PrepareSettings(side=72, encoding="raw"), workers=1)
    run = tiny.run(tmp_path / "run", store).path
    words = ["report", str(run), "--store", str(store.path), "--out", str(tmp_path), "--device", "cpu"]
    assert main(words) == 0
    page = (tmp_path / "report.html").read_text()
    assert "all 9 images have the same features" in page
    assert "could not be drawn" not in page
    assert page.count("<img") >= 6
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert r"\x1b[31m\xff" in page
