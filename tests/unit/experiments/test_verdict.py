"""Numbers to intervals to verdicts: Student's interval, bands, censoring, lowest of several."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alexnet.experiments.claim_results import (
    ArmValues,
    Band,
    ComparisonResult,
    Interval,
    MeasuredValue,
    Verdict,
)
from alexnet.experiments.claims import ABOVE_0
from alexnet.experiments.measures import epochs_to
from alexnet.experiments.verdict import COVERS_BOTH, best_arm, combine, judge, t_interval, unbracketed

NUMBERS = st.lists(st.floats(-100, 100, allow_nan=False), min_size=2, max_size=8)


@given(NUMBERS)
def test_the_interval_is_students(numbers: list[float]) -> None:
    found = t_interval(numbers)
    assert found.low <= found.mean <= found.high
    spread = np.std(numbers, ddof=1) / math.sqrt(len(numbers))
    if spread < 1e-9:
        assert found.low == pytest.approx(found.high, abs=1e-7)
        return
    low, high = stats.t.interval(0.95, len(numbers) - 1, np.mean(numbers), spread)
    assert (found.low, found.high) == pytest.approx((low, high))


def slow_verdict(interval: Interval, band: Band) -> str:
    """By a fine walk along the interval: which of its values hold."""
    values = np.linspace(interval.low, interval.high, 1001)
    holds = [band.low < value < band.high for value in values]
    return "held" if all(holds) else "untested" if any(holds) else "failed"


@given(st.floats(-5, 5), st.floats(0.1, 4), st.sampled_from([ABOVE_0, Band(high=1), Band(-2, 2), Band(1, 4)]))
def test_a_verdict_is_what_a_walk_along_the_interval_finds(low: float, width: float, band: Band) -> None:
    interval = Interval(low + width / 2, low, low + width)
    slow = slow_verdict(interval, band)
    if interval.low < band.low < band.high < interval.high and band.high - band.low < width / 100:
        return
    verdict, reason = judge(interval, band)
    assert verdict == slow
    assert bool(reason) == (verdict == "untested")


def test_lower_bounds_can_hold_a_band_without_an_end_and_fail_nothing_below_it() -> None:
    above, below = Interval(3, 2, 4), Interval(-3, -4, -2)
    assert judge(above, ABOVE_0, at_least=True) == ("held", "")
    assert judge(below, ABOVE_0, at_least=True) == ("untested", COVERS_BOTH)
    assert judge(above, Band(1, 5), at_least=True)[0] == "untested"
    assert judge(above, Band(-1, 1), at_least=True)[0] == "failed"


def result(words: str, verdict: Verdict, reason: str = "", decides: bool = True) -> ComparisonResult:
    return ComparisonResult(
        id=words,
        words=words,
        measure="validation-error",
        first=("one",),
        second=("other",),
        unit="points",
        band=ABOVE_0,
        decides=decides,
        verdict=verdict,
        reason=reason,
    )


def test_a_claim_is_held_if_all_is_and_failed_if_anything_is() -> None:
    held, failed, open_ = result("a", "held"), result("b", "failed"), result("c", "untested", "too wide")
    assert combine([held, held])[0] == "held"
    assert combine([held, open_]) == ("untested", "c: too wide")
    assert combine([open_, result("d", "untested", "too wide"), held]) == ("untested", "c; d: too wide")
    assert combine([open_, failed, held]) == ("failed", "b")
    learning = result("f", "still learning", "training errors above 5 %: one 20 %")
    assert combine([open_, learning, held]) == ("still learning", "f: training errors above 5 %: one 20 %")
    assert combine([learning, failed]) == ("failed", "b")
    assert combine([held, result("e", "failed", decides=False)]) == ("held", "")


LINES = [{"epoch": epoch, "training_error": error} for epoch, error in ((1, 0.8), (2, 0.4), (4, 0.2))]


def test_epochs_to_an_error_are_read_off_a_straight_line() -> None:
    assert epochs_to(LINES, 0.3, 4).number == pytest.approx(3.0)
    assert epochs_to(LINES, 0.9, 4).number == pytest.approx(0.5)
    assert epochs_to(LINES, 0.4, 4) == MeasuredValue(2.0)


def test_an_error_that_is_not_reached_is_censored() -> None:
    assert epochs_to(LINES, 0.1, 4.0) == MeasuredValue(4.0, at_least=True, missed_by=pytest.approx(0.1))
    assert epochs_to([], 0.1, 7.0) == MeasuredValue(7.0, at_least=True, missed_by=0.9)


def test_the_best_arm_has_the_lowest_mean_of_those_that_reach_it() -> None:
    def values(*numbers: float | None, at_least: bool = False) -> list[MeasuredValue | None]:
        return [None if number is None else MeasuredValue(number, at_least) for number in numbers]

    lucky_once = values(1.0, 9.0)
    assert best_arm({"lucky once": lucky_once, "steady": values(3.0, 4.0)}) == "steady"
    assert best_arm({"censored": values(2.0, 2.0, at_least=True), "reached": values(8.0, 9.0)}) == "reached"
    assert best_arm({"missing": values(None, 1.0), "censored": values(7.0, 7.0, at_least=True)}) == "censored"
    assert best_arm({"diverged": values(None, None)}) == "diverged"


NOT_REACHED = MeasuredValue(9.0, at_least=True)


def searched(first: dict[str, list[float]], second: dict[str, list[float]], band: Band = ABOVE_0) -> str:
    """What `unbracketed` finds for these values of each arm; 9 is not reached."""
    values = tuple(
        ArmValues(arm, "epochs", tuple(MeasuredValue(each) if each < 9 else NOT_REACHED for each in numbers))
        for arm, numbers in (first | second).items()
    )
    made = replace(result("a", "untested"), first=(*first,), second=(*second,), band=band, values=values)
    return unbracketed(made)


def test_a_search_whose_best_arm_is_the_first_or_last_tried_decides_nothing() -> None:
    inside = {"slow": [5.0, 6.0], "middle": [3.0, 4.0], "fast": [4.0, 9.0]}
    at_end = {"slow": [5.0, 6.0], "middle": [3.0, 4.0], "fast": [3.5, 2.5]}
    one = {"other": [1.0, 2.0]}
    assert searched(inside, one) == ""
    assert "fast is the best" in searched(at_end, one)
    assert "slow is the best" in searched({"slow": [2.0], "fast": [3.0]}, {"other": [1.0]})


def test_of_a_search_in_which_no_arm_reached_it_the_closest_is_the_best() -> None:
    def missed(slow: float, middle: float, fast: float) -> str:
        arms = {"slow": slow, "middle": middle, "fast": fast}
        values = [ArmValues(arm, "epochs", (replace(NOT_REACHED, missed_by=by),)) for arm, by in arms.items()]
        other = ArmValues("other", "epochs", (MeasuredValue(1.0),))
        made = replace(result("a", "untested"), first=(*arms,), second=("other",), values=(*values, other))
        return unbracketed(made)

    assert missed(0.3, 0.1, 0.2) == ""  # its bound is judged
    assert "fast is the best" in missed(0.3, 0.2, 0.1)
    assert "slow is the best" in missed(0.0, 0.0, 0.0)  # of an earlier version


def test_a_better_second_arm_only_matters_where_the_band_has_an_upper_end() -> None:
    one, at_end = {"one": [9.0]}, {"slow": [2.0], "middle": [3.0], "fast": [4.0]}
    assert searched(one, at_end, ABOVE_0) == ""
    assert "slow is the best" in searched(one, at_end, Band(-1, 1))
