from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.experiments.claim_results import Band, ComparisonResult, Interval, Verdict
from alexnet.report.plots.claim import Curve, draw_claim
from alexnet.report.plots.output import save

CURVES = [
    Curve(arm, [0.5, 1.0], [0.6 - seed / 10, 0.4]) for arm in ("common", "without-conv3") for seed in range(3)
]


def compared(words: str, unit: str, verdict: Verdict = "untested", **options) -> ComparisonResult:
    fields = {"id": words, "measure": "error", "first": ("a",), "second": ("b",), "band": Band(low=0.0)}
    return ComparisonResult(words=words, unit=unit, verdict=verdict, **{**fields, **options})


def test_each_arm_has_a_name_once_and_each_comparison_a_row_with_its_band(tmp_path: Path) -> None:
    interval = Interval(0.02, 0.005, 0.035)
    numbers = (0.01, 0.02, 0.03)
    held = compared("a minus b", "points", "held", numbers=numbers, interval=interval, at_least=True)
    open_ = compared("b minus c", "", band=Band(-1e-5, 1e-5), decides=False)
    figure = draw_claim([held, open_], CURVES, "validation error", "a claim")
    left, first, second = figure.axes
    legend = left.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["common", "without-conv3"]
    assert len(left.lines) == 6
    titles = [axes.get_title(loc="left") for axes in (first, second)]
    assert "held" in titles[0] and "at least" in titles[0] and "untested" in titles[1]
    assert "(secondary)" in titles[1] and "(secondary)" not in titles[0]
    bar, mean, dots = first.lines
    assert list(bar.get_xdata()) == pytest.approx([0.5, 3.5])
    assert list(mean.get_xdata()) == pytest.approx([2])
    assert list(dots.get_xdata()) == pytest.approx([1, 2, 3])
    assert first.patches[0].get_extents().width > 0
    for suffix in ("png", "svg"):
        assert save(figure, tmp_path / f"claim.{suffix}").stat().st_size > 1000


def test_a_comparison_without_numbers_shows_the_reason() -> None:
    why = "relu-rate-0.003, relu-rate-0.01 did not get there in 2 epochs"
    nothing = compared("a minus b", "epochs", reason=why)
    few = compared("a minus b", "points", numbers=(0.01,), reason="1 seed")
    _, first, second = draw_claim([nothing, few], CURVES, "training error", "a claim").axes
    (caption,) = first.texts
    assert caption.get_text().replace("\n", " ") == f"no value: {why}"
    assert not second.texts  # its number is drawn


def test_arms_with_equal_curves_can_be_distinguished() -> None:
    arms = [f"arm {number}" for number in range(6)]
    curves = [Curve(arm, [0.5, 1.0], [2 / 3, 2 / 3]) for arm in arms for _ in range(3)]
    lines = draw_claim([], curves, "training error", "a claim").axes[0].lines
    order = "-", "--", "-.", ":"
    for one, next_ in zip(lines[::3], lines[3::3], strict=False):
        assert one.get_linestyle() != next_.get_linestyle()
    for line in lines:  # one with more gaps lies above
        assert line.get_zorder() == pytest.approx(2 + order.index(str(line.get_linestyle())) / 4)


def test_an_error_of_one_is_not_cut_off() -> None:
    axes = draw_claim([], [Curve("arm", [0.5, 1.0], [1.0, 0.99])], "training error", "a claim").axes[0]
    assert axes.get_ylim()[0] == 0 and 1.04 < axes.get_ylim()[1] < 1.2


def test_a_claim_without_any_run_can_be_drawn() -> None:
    assert draw_claim([], [], "validation error", "nothing yet").axes
