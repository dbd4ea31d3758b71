"""The record of attacks: rows that are added up in tables."""

from __future__ import annotations

from pathlib import Path

from tools import attacks
from tools.attacks import Row
from tools.results_io import NOT_RECORDED

ROWS = [
    Row("abc", "make attack", 0, 9, "2 cores", "kill of train", 10, 10, 0, 0, 0, 0),
    Row("abc", "make attack", 0, 9, "2 cores", "kill of export", 10, 9, 1, 0, 0, 0),
    Row("def", "make attack", 10, 19, "2 cores", "kill of train", 1000, 999, 0, 0, 0, 1),
    Row("def", "make attack", 10, 19, "2 cores", "input of JSON", 5, 3, 0, 1, 1, 0),
]


def test_rows_are_read_as_they_were_added(tmp_path: Path) -> None:
    assert attacks.read(tmp_path / attacks.FOLDER) == []
    attacks.add(tmp_path / attacks.FOLDER, ROWS[:1])
    attacks.add(tmp_path / attacks.FOLDER, ROWS[1:])
    assert attacks.read(tmp_path / attacks.FOLDER) == ROWS


def test_the_table_adds_up_all_calls(tmp_path: Path) -> None:
    assert attacks.attacks(tmp_path).rows == [(NOT_RECORDED,)]
    attacks.add(tmp_path / attacks.FOLDER, ROWS)
    table = attacks.attacks(tmp_path)
    assert table.columns == ("attack", *attacks.COLUMNS)
    assert table.rows == [
        ("kills", "1,020", "", "1,018", "1", "0", "0", "1"),
        ("hostile inputs", "5", "", "3", "0", "1", "1", "0"),
    ]
    assert "abc, def" in table.notes[0]


def test_seeds_in_a_row_reach_each_moment_and_are_spread_evenly() -> None:
    for moments in (1, 2, 7, 60, 412):
        assert sorted(attacks.moment_of(seed, moments) for seed in range(5, 5 + moments)) == [*range(moments)]
    for first in (0, 1000):
        reached = sorted(attacks.moment_of(seed, 412) for seed in range(first, first + 50))
        gaps = [
            after - before for before, after in zip(reached, [*reached[1:], reached[0] + 412], strict=True)
        ]
        assert max(gaps) <= 2 * 412 / 50


def test_the_table_counts_the_moments_that_were_reached() -> None:
    def killed(command: str, seed: int, tried: int, moments: int) -> Row:
        return Row(
            "abc", "", seed, seed + tried - 1, "", f"kill of {command}", tried, tried, 0, 0, 0, 0, moments
        )

    rows = [
        killed("train", 0, 300, 0),  # not recorded
        killed("train", 0, 90, 400),  # of an earlier version
        killed("train", 100, 30, 412),
        killed("train", 120, 30, 412),
        killed("export", 0, 200, 20),
    ]
    table = attacks.by_attack([*rows, ROWS[-1]])
    place = table.columns.index("moments")
    assert [row[place] for row in table.rows] == ["", "20 of 20", "50 of 412"]


def test_each_attack_has_a_row_of_its_own() -> None:
    names = [row[0] for row in attacks.by_attack(ROWS).rows]
    assert names == ["input of JSON", "kill of export", "kill of train"]
