from __future__ import annotations

import math
from pathlib import Path

import pytest

from alexnet.figures.claim import Curve, Shown, draw_claim
from alexnet.figures.save import save

CURVES = [
    Curve(arm, [0.5, 1.0], [0.6 - seed / 10, 0.4]) for arm in ("common", "without-conv3") for seed in range(3)
]


def test_each_arm_has_a_name_once_and_each_comparison_a_row_with_its_band(tmp_path: Path) -> None:
    held = Shown(
        "a less b", "points", [0.01, 0.02, 0.03], (0.02, 0.005, 0.035), (0.0, math.inf), "held", True
    )
    open_ = Shown("b less c", "", [], None, (-1e-5, 1e-5), "untested")
    figure = draw_claim([held, open_], CURVES, "validation error", "a claim")
    left, first, second = figure.axes
    legend = left.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["common", "without-conv3"]
    assert len(left.lines) == 6
    titles = [axes.get_title(loc="left") for axes in (first, second)]
    assert "held" in titles[0] and "at least" in titles[0] and "untested" in titles[1]
    bar, mean, dots = first.lines
    assert list(bar.get_xdata()) == pytest.approx([0.5, 3.5])
    assert list(mean.get_xdata()) == pytest.approx([2])
    assert list(dots.get_xdata()) == pytest.approx([1, 2, 3])
    assert first.patches[0].get_extents().width > 0
    for suffix in ("png", "svg"):
        assert save(figure, tmp_path / f"claim.{suffix}").stat().st_size > 1000


def test_a_claim_without_any_run_can_be_drawn() -> None:
    assert draw_claim([], [], "validation error", "nothing yet").axes
