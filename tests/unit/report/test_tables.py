from __future__ import annotations

from alexnet.report.tables import Table, percent, percent_interval, with_interval

TABLE = Table(
    columns=("system", "top-1"),
    rows=(("AlexNet", "40.7"), (), ("a|b", "9.1")),
    title="Errors in %",
    numeric=frozenset({"top-1"}),
    notes=("ILSVRC-2012",),
)


def test_text_is_aligned_numbers_to_the_right_with_rules_between_groups() -> None:
    assert TABLE.text() == (
        "Errors in %\n\n"
        "system   top-1\n"
        "-------  -----\n"
        "AlexNet   40.7\n"
        "-------  -----\n"
        "a|b        9.1\n\n"
        "ILSVRC-2012\n"
    )


def test_markdown_escapes_bars_and_marks_columns_of_numbers() -> None:
    assert TABLE.markdown() == (
        "**Errors in %**\n\n"
        "| system | top-1 |\n"
        "| --- | ---: |\n"
        "| AlexNet | 40.7 |\n"
        "| a\\|b | 9.1 |\n\n"
        "ILSVRC-2012\n"
    )


def test_only_here_fractions_become_percent() -> None:
    assert percent(0.18249) == "18.2"
    assert percent(0.0095) == "0.95"
    assert percent(0.0) == "0.0"
    assert percent(None) == "-"
    assert percent_interval((0.0, 0.12345)) == "0.0-12.3"
    assert percent_interval(None) == "-"
    assert with_interval(0.18249, (0.1, 0.2)) == "18.2 (10.0-20.0)"
    assert with_interval(0.18249, None) == "18.2"
    assert with_interval(0.0095, (0.0078, 0.0116)) == "0.95 (0.78-1.16)"


WIDE = Table(
    columns=("run", "what was found in it", "images"),
    rows=[
        ("one", "a very long sentence about the first run, with [brackets] in it", "1,234"),
        (),
        ("two", "short", "5"),
    ],
    title="A title that is also longer than the terminal is wide, as some are",
    numeric=frozenset({"images"}),
    notes=["A note that is longer than the terminal is wide, as most notes are."],
)


def test_a_table_is_broken_to_fit_a_terminal_and_loses_nothing() -> None:
    text = WIDE.text(40)
    assert all(len(line) <= 40 for line in text.splitlines())
    words = [word for part in (WIDE.text(), text) for word in [sorted(part.replace("-", "").split())]]
    assert words[0] == words[1]
    lines = text.splitlines()
    (first,) = (line for line in lines if line.startswith("one"))
    assert first.endswith("1,234")
    assert sum(set(line) <= {"-", " "} and "-" in line for line in lines) == 2


def test_a_table_that_fits_is_printed_as_without_a_terminal() -> None:
    assert WIDE.text(200) == WIDE.text()
