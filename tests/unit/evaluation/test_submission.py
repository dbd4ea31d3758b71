"""The file for ILSVRC's server has the model's predictions, for any order of classes and photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.manifest import UnreadableFile
from alexnet.data.sources.devkit import Devkit
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.evaluation import submission
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet

WNIDS = [f"n0000000{number}" for number in range(8)]
KIT = Devkit(Path("kit"), 2012, [WNIDS[place] for place in (5, 0, 7, 2, 1, 6, 3, 4)], {}, [], [])
TEST = "ILSVRC2012_test_{:08d}.JPEG"


def predictions(rows: np.ndarray, wnids: list[str]) -> Predictions:
    count = len(rows)
    return Predictions(
        split="test",
        views=ViewSet("ten"),
        probabilities=rows,
        labels=np.full(count, -1),
        keys=np.arange(count).astype(str),
        classes=np.array(wnids),
        names=np.array(wnids),
    )


def split(*keys: str, unreadable: tuple[UnreadableFile, ...] = ()) -> SimpleNamespace:
    manifest = SimpleNamespace(unreadable=unreadable)
    return SimpleNamespace(name="test", manifest=manifest, keys=lambda: list(keys), verify=lambda: None)


def numbered(*numbers: int) -> SimpleNamespace:
    return split(*(TEST.format(number) for number in numbers))


@given(st.lists(st.lists(st.integers(0, 9), min_size=7, max_size=7), max_size=5), st.permutations(range(7)))
def test_the_five_most_probable_in_any_order_of_classes(values: list[list[int]], order: list[int]) -> None:
    """Few different values, so that many are equal; the kit has one class more than the model."""
    rows = np.array(values, np.float32).reshape(-1, 7) / 10
    wnids = WNIDS[:7]
    wanted = [
        sorted(range(1, 9), key=lambda number, row=row: _order(row, KIT.wnids[number - 1]))[:5]
        for row in rows.tolist()
    ]
    found = submission.guesses(predictions(rows[:, order], [wnids[label] for label in order]), KIT)
    assert found.tolist() == wanted


def _order(row: list[float], wnid: str) -> tuple[float, ...]:
    return (-row[WNIDS.index(wnid)],) if wnid != WNIDS[7] else (1.0,)


def test_probabilities_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(WorkError, match="not finite"):
        submission.guesses(predictions(np.full((1, 8), np.nan), WNIDS), KIT)


@given(st.permutations(range(1, 12)))
def test_lines_come_in_the_order_of_official_names(numbers: list[int]) -> None:
    photos = submission.photos_of(numbered(*numbers))
    assert [numbers[place] for place in photos.order] == list(range(1, 12))
    assert (photos.year, photos.split, photos.official_count) == (2012, "test", 100_000)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (numbered(1, 2, 4), "00000003.JPEG is missing"),
        (numbered(2, 3), "00000001.JPEG is missing"),
        (numbered(1, 2, 2, 3), "00000002.JPEG is one too many"),
        (numbered(0, 1, 2), "00000000.JPEG is one too many"),
        (split(TEST.format(1), "ILSVRC2012_val_00000002.JPEG"), "are of two sets"),
        (split(TEST.format(1), "holiday.jpg"), "contains holiday.jpg.*official names.*--split"),
        (split(), "contains nothing"),
        (
            split(TEST.format(1), unreadable=(UnreadableFile("test", TEST.format(2), "cut short"),)),
            "00000002.JPEG is not in the store.*cut short",
        ),
    ],
    ids=["gap", "beginning", "repeated", "zero", "two sets", "other name", "empty", "unreadable"],
)
def test_photos_that_would_shift_the_lines_are_refused(found: SimpleNamespace, message: str) -> None:
    with pytest.raises(DataError, match=message):
        submission.photos_of(found)


def test_what_could_not_be_read_in_another_split_does_not_matter() -> None:
    other = (UnreadableFile("train", "a.JPEG", "cut short"),)
    assert len(submission.photos_of(split(TEST.format(1), unreadable=other)).order) == 1


@pytest.mark.parametrize(
    ("wnids", "message"),
    [
        ([*WNIDS[:7], "n99999999"], "no such class n99999999"),
        ([*WNIDS[:7], WNIDS[0]], "more than one label for class n00000000"),
        (WNIDS[:4], "4 classes are too few"),
    ],
    ids=["unknown", "twice", "few"],
)
def test_classes_that_are_not_the_kits_are_refused(wnids: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        submission.ids_of(wnids, KIT)


@given(st.lists(st.permutations(range(1, 9)).map(lambda ids: ids[:5]), min_size=1, max_size=9))
def test_written_values_are_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("written") / "new" / "test.txt"
    submission.write_submission(path, np.array(rows), KIT)
    assert path.read_text() == "".join(f"{' '.join(map(str, row))}\n" for row in rows)
    assert submission.parse_submission(path.read_text(), KIT, "file").tolist() == rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 4", "is not 5 different ids"),
        ("1 2 3 4 5 6", "is not 5 different ids"),
        ("1 2 3 4 4", "is not 5 different ids"),
        ("1,2,3,4,5", "is not 5 different ids"),
        ("1 2 3  4 5", "is not 5 different ids"),
        ("1 2 3 4 n01440764", "is not 5 different ids"),
        ("", "is not 5 different ids"),
        ("0 1 2 3 4", "id 0 is not in 1 to 8"),
        ("1 2 3 4 9", "id 9 is not in 1 to 8"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str) -> None:
    with pytest.raises(DataError, match=f"file, line 2: .*{message}"):
        submission.parse_submission(f"1 2 3 4 5\n{line}\n5 4 3 2 1\n", KIT, "file")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DataError, match="holds no line"):
        submission.parse_submission("", KIT, "file")


def test_a_wrong_row_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("before")
    with pytest.raises(DataError, match="line 1"):
        submission.write_submission(path, np.array([[1, 2, 3, 4, 9]]), KIT)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_errors_are_lines_without_the_true_class() -> None:
    kit = replace(KIT, val_wnids=[WNIDS[5], WNIDS[5], WNIDS[4]])  # ids 1, 1, 8
    rows = np.array([[1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [4, 5, 6, 7, 8]])
    assert submission.count_missed(rows, kit.val_wnids, kit, "file") == 1
    with pytest.raises(DataError, match="file has 2 lines for 3 photos"):
        submission.count_missed(rows[:2], kit.val_wnids, kit, "file")


def test_a_kit_that_is_not_there(tmp_path: Path) -> None:
    from alexnet.data.sources import devkit

    with pytest.raises(CommandError, match="no such file or folder"):
        devkit.read_devkit(tmp_path / "kit.tar.gz")
    with pytest.raises(DataError, match=r"no development kit of ILSVRC-2010: give .*devkit-1\.0"):
        devkit.read_devkit(tmp_path, 2010)
