"""A table, as text for a terminal or as Markdown, and the format of numbers in its cells."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from alexnet.runs.results import Rate
from alexnet.text import printable

ABSENT = "-"
"""A cell without a value."""


_RULES = "    \n    \n -- \n    \n -- \n -- \n    \n    \n"
"""A line below the columns' names and between groups of rows, for `rich.box.Box`."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns; an empty row is a line between groups of rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    numeric: frozenset[str] = field(default_factory=frozenset[str])
    """Columns that are right-aligned."""
    notes: Sequence[str] = ()

    def text(self, width: int | None = None) -> str:
        """Aligned with spaces, without trailing ones; what is not printable is escaped.

        Cells are broken into several lines, and notes too, where the table would be wider than `width`
        columns.
        """
        made = replace(
            self,
            rows=[[printable(cell) for cell in row] for row in self.rows],
            title=printable(self.title),
            notes=[printable(note) for note in self.notes],
        )
        text = made._text()
        if width is None or max(map(len, text.splitlines()), default=0) <= width:
            return text
        return made._text_of_width(width)

    def _text_of_width(self, width: int) -> str:
        from rich import box, console, table, text  # most tables are narrower

        drawn = table.Table(box=box.Box(_RULES), padding=(0, 1), pad_edge=False, show_edge=False)
        for name in self.columns:
            drawn.add_column(text.Text(name), justify="right" if name in self.numeric else "left")
        for row, following in zip(self.rows, [*self.rows[1:], ["last"]], strict=True):
            if row:
                drawn.add_row(*map(text.Text, row), end_section=not following)
        file = io.StringIO()
        console.Console(file=file, width=width, color_system=None, legacy_windows=False).print(drawn)
        lines = [*(textwrap.wrap(self.title, width) if self.title else []), *([""] if self.title else [])]
        lines += [line.rstrip() for line in file.getvalue().splitlines()]
        lines += [""] if self.notes else []
        lines += [line for note in self.notes for line in textwrap.wrap(note, width)]
        return "\n".join(lines) + "\n"

    def _text(self) -> str:
        widths = self._widths()
        rule = "  ".join("-" * width for width in widths)
        lines = [self.title, ""] if self.title else []
        lines += [self._line(self.columns, widths), rule]
        lines += [self._line(row, widths) if row else rule for row in self.rows]
        return "\n".join([*lines, *([""] if self.notes else []), *self.notes]) + "\n"

    def without_empty_columns(self) -> Table:
        """Without the columns that have a value in no row."""
        kept = [
            place
            for place in range(len(self.columns))
            if any(row[place] not in ("", ABSENT) for row in self.rows if row)
        ]
        rows = [[row[place] for place in kept] if row else row for row in self.rows]
        return replace(self, columns=[self.columns[place] for place in kept], rows=rows)

    def markdown(self) -> str:
        """A GitHub table, its title in bold before it and its notes after it; groups are not separated."""
        marks = ["---:" if name in self.numeric else "---" for name in self.columns]
        rows = [self.columns, marks, *(row for row in self.rows if row)]
        lines = [f"**{self.title}**", ""] if self.title else []
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"

    def _widths(self) -> list[int]:
        filled = [self.columns, *(row for row in self.rows if row)]
        return [max(len(row[i]) for row in filled) for i in range(len(self.columns))]

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        parts = [
            cell.rjust(width) if name in self.numeric else cell.ljust(width)
            for name, cell, width in zip(self.columns, cells, widths, strict=True)
        ]
        return "  ".join(parts).rstrip()


def percent(fraction: float | None) -> str:
    """An error as a table shows it: 0.1823 -> "18.2", 0.0095 -> "0.95"; `ABSENT` for None.

    Only tables multiply by 100.
    """
    return ABSENT if fraction is None else f"{100 * fraction:.{_decimals(fraction)}f}"


def percent_interval(interval: Sequence[float] | None, decimals: int = 1) -> str:
    """A 95 % interval as a table shows it: "17.9-18.6"."""
    if interval is None:
        return ABSENT
    return f"{100 * interval[0]:.{decimals}f}-{100 * interval[1]:.{decimals}f}"


def signed(difference: float | None, interval: Sequence[float] | None) -> str:
    """A difference of errors in points, with its 95 % interval: "+1.2 (+0.4 to +2.0)"."""
    if difference is None or interval is None:
        return ABSENT
    return f"{100 * difference:+.1f} ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"


def with_interval(fraction: float | None, interval: Sequence[float] | None) -> str:
    """Both in one cell: "18.2 (17.9-18.6)", or the error alone where there is no interval."""
    decimals = _decimals(fraction or 0.0)
    return percent(fraction) + (f" ({percent_interval(interval, decimals)})" if interval else "")


def rate(of: Rate | None) -> str:
    """An error rate with its interval: "18.2 (17.9-18.6)"; `ABSENT` for None."""
    return ABSENT if of is None else with_interval(of.error, of.interval)


def _decimals(fraction: float) -> int:
    """Number of decimals of a percentage: one, and two below 1 %."""
    return 2 if 0 < fraction < 0.01 else 1
