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
        ("kills", "1,020", "1,018", "1", "0", "0", "1"),
        ("hostile inputs", "5", "3", "0", "1", "1", "0"),
    ]
    assert "abc, def" in table.notes[0]


def test_each_attack_has_a_row_of_its_own() -> None:
    names = [row[0] for row in attacks.by_attack(ROWS).rows]
    assert names == ["input of JSON", "kill of export", "kill of train"]
