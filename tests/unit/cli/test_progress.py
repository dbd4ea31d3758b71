from __future__ import annotations

import io
import re
import sys

import pytest

from alexnet.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, silent: bool = False) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar("preparing", 4, done=1, unit="images", silent=silent) as advance:
        advance(2, note="one unreadable")
        advance()
    return stream.getvalue()


def test_plain_lines_have_counts_and_keep_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, io.StringIO())
    assert text.startswith("preparing: 4/4 images, ")
    assert text.endswith("0:00:00 left, one unreadable\n")
    assert text.count("\n") == 1


def test_plain_lines_are_at_least_the_interval_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [0.0]
    with progress._lines("training", 100, 0, "steps", stream, lambda: now[0]) as advance:
        for _ in range(50):
            now[0] += 1
            advance(2)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training: 20/100 steps, 2/s, 0:00:40 left"
    assert len(lines) == 5


def test_earlier_work_does_not_count_for_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [0.0]
    with progress._lines("preparing", 1000, 0, "images", stream, lambda: now[0]) as advance:
        advance(900)
        now[0] += 20
        advance(40)
    assert stream.getvalue() == "preparing: 940/1000 images, 2/s, 0:00:30 left\n"


def test_an_unknown_total(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar("reading", None) as advance:
        advance(3)
    assert stream.getvalue() == "reading: 3\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = shown(monkeypatch, Terminal())
    assert "preparing" in text
    assert "4/4 images" in text
    assert "one unreadable" in text


PARTS = {
    "description": "training",
    "counts": "12800/852300 images",
    "rate": "1,234/s",
    "elapsed": "0:01:12",
    "left": "0:31:05 left",
    "metric": "validation error 16.7 %",
    "note": "loss 1.234, error 34.5 %, 1,300/s without validation, waiting for images 3 %",
}


@pytest.mark.parametrize(
    ("width", "kept", "dropped"),
    [
        (250, set(PARTS), set()),
        (120, set(PARTS) - {"note"}, {"note"}),
        (80, {"description", "left", "metric"}, {"counts", "note"}),
        (50, {"left", "metric"}, {"description", "counts", "note"}),
        (40, {"left", "description"}, {"metric", "counts", "note"}),
        (10, set(), set(PARTS)),
    ],
)
def test_a_narrow_terminal_keeps_the_bar_the_time_left_and_the_metric(
    width: int, kept: set[str], dropped: set[str]
) -> None:
    shown, bar = progress.parts_that_fit(PARTS, width)
    assert kept <= {*shown} and not dropped & {*shown}
    assert shown == [name for name in PARTS if name in shown]
    assert 5 <= bar <= 40
    assert bar + sum(len(PARTS[name]) + 1 for name in shown) <= width


@pytest.mark.parametrize("columns", [200, 80, 40, 20])
def test_a_bar_is_one_line_at_any_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar("training", 40_000, unit="images") as advance:
        advance(32, note=PARTS["note"])
        advance(32, metric=PARTS["metric"])
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    lines = [line.rstrip() for line in re.split("[\r\n]", text) if line.strip()]
    assert text.count("\n") == 1 and lines
    assert all(len(line) <= columns for line in lines)
    assert all("left" in line or "-:--:--" in line for line in lines)
    assert (PARTS["metric"] in lines[-1]) == (columns > 40)


def test_silent_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), silent=True) == ""


def test_the_last_line_is_printed_even_if_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(OSError, match="disk"), progress.progress_bar("writing", 9) as advance:
        advance(5)
        raise OSError("disk")
    assert stream.getvalue().startswith("writing: 5/9")


@pytest.mark.parametrize("counts", [[], [0]])
def test_without_work_no_line_is_printed(monkeypatch: pytest.MonkeyPatch, counts: list[int]) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar("preparing", 120, unit="images") as advance:
        for count in counts:
            advance(count)
    assert stream.getvalue() == ""
