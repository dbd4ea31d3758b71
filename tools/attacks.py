"""The record of the attacks on files, commands and the server: `results/attack`, written by `make attack`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_type_hints

from alexnet.io import exclusive_lock
from alexnet.report.tables import Table
from tools.results_io import NOT_RECORDED

FOLDER, FILE = "attack", "attacks.csv"
GROUPS = {
    "kill": "kills",
    "mutation": "mutations of files",
    "input": "hostile inputs",
    "request": "requests",
    "storm": "storms of signals",
    "rank": "signals to one of two processes",
}
"""The first word of an attack, and what the documents call all attacks of that kind."""
COLUMNS = ("tried", "moments", "held", "silent wrong", "traceback", "unexpected", "left over")


class Row(NamedTuple):
    """The attacks of one kind in one call, and how they ended."""

    commit: str
    command: str
    first_seed: int
    last_seed: int
    machine: str
    attack: str
    tried: int
    held: int
    silent_wrong: int
    traceback: int
    unexpected: int
    left_over: int
    moments: int = 0
    """At which the command can be killed; 0 for other attacks, and in rows that did not record it."""

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers under `COLUMNS`, without the moments."""
        failed = (self.silent_wrong, self.traceback, self.unexpected, self.left_over)
        return (self.tried, self.held, *failed)


def moment_of(seed: int, moments: int) -> int:
    """The moment, from 0, at which a command is killed with this seed.

    Seeds in a row are spread evenly over the moments, and as many of them as there are moments reach each.
    """
    bits = (moments - 1).bit_length()
    reversed_bits = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [moment for moment in reversed_bits if moment < moments][seed % moments]


def read(folder: Path) -> list[Row]:
    """The rows recorded so far."""
    file, kinds = folder / FILE, get_type_hints(Row)
    if not file.is_file():
        return []
    with file.open(newline="") as opened:
        return [
            Row(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(opened)
        ]


def add(folder: Path, rows: Iterable[Row]) -> None:
    """Adds rows to the record, to which other processes may be adding, too."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, wait=True):
        every = [*read(folder), *rows]
        with (folder / FILE).open("w", newline="") as opened:
            writer = csv.writer(opened, lineterminator="\n")
            writer.writerow(Row._fields)
            writer.writerows(every)


def by_attack(rows: Sequence[Row]) -> Table:
    """A row for each attack: how often it was tried, held and failed, over all calls."""
    return _table({row.attack: row.attack for row in rows}, rows)


def attacks(results: Path) -> Table:
    """A row for each kind of attack, and where and at which commits they were recorded."""
    rows = read(results / FOLDER)
    if not rows:
        return Table(("attack",), [(NOT_RECORDED,)])
    titles = {row.attack: GROUPS[row.attack.split()[0]] for row in rows}
    machines = ", ".join(sorted({row.machine for row in rows}))
    commits = ", ".join(sorted({row.commit for row in rows}))
    note = f"`make attack`, commit {commits}, {machines}; seeds are in `results/attack/attacks.csv`."
    return replace(_table(titles, rows), notes=(note,))


def _table(titles: dict[str, str], rows: Sequence[Row]) -> Table:
    order = list(GROUPS.values())
    named = sorted(set(titles.values()), key=lambda title: (title in order and order.index(title), title))
    body: list[Sequence[str]] = []
    for title in named:
        of_it = [row for row in rows if titles[row.attack] == title]
        tried, *others = (f"{sum(column):,}" for column in zip(*(row.counts for row in of_it), strict=True))
        body.append((title, tried, _moments(of_it), *others))
    return Table(("attack", *COLUMNS), body, numeric=frozenset(COLUMNS))


def _moments(rows: Sequence[Row]) -> str:
    """At how many of their moments commands were killed: `50 of 412`; empty for other attacks.

    Where a command has got other moments since, rows with as many as the last one count.
    """
    last = {row.attack: row.moments for row in rows if row.moments}
    reached = {
        (row.attack, moment_of(seed, row.moments))
        for row in rows
        if row.moments and row.moments == last[row.attack]
        for seed in range(row.first_seed, row.first_seed + row.tried)
    }
    return f"{len(reached):,} of {sum(last.values()):,}" if last else ""
