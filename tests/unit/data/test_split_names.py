"""Names of splits in every usual spelling, and names that only look like one."""

from __future__ import annotations

import pytest

from alexnet.data.sources.split_names import is_neutral, split_in, split_of, splits_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, "train")
            for name in ("train", "Training", "TRN", "seg_train", "train_images", "train-images")
        ),
        *(
            (name, "train")
            for name in (
                "train_val2019",
                "img_train",
                "trainset",
                "TrainImages",
                "train2017",
                "train_256x256",
            )
        ),
        *((name, "val") for name in ("val", "valid", "Validation", "dev", "eval", "val_256", "valset")),
        *(
            (name, "test")
            for name in ("test", "testing", "test1", "test_images", "Final_Testing", "seg_pred")
        ),
        *(
            (name, None)
            for name in ("cat", "train_station", "steam train", "trains", "contest", "valve", "images")
        ),
        *((name, None) for name in ("train_test_images", "training_of_dogs", "12", "")),
    ],
)
def test_a_folder_is_a_split_only_if_no_other_word_is_in_its_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_words_that_all_split_folders_share_do_not_count() -> None:
    assert splits_of(["birds_train", "birds_val"]) == {"birds_train": "train", "birds_val": "val"}
    assert splits_of(["train_station", "bus_station"]) == {"train_station": None, "bus_station": None}
    assert splits_of(["bus", "car", "train"]) == {"bus": None, "car": None, "train": "train"}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("places365_val.txt", "val"),
        ("GT-final_test.csv", "test"),
        ("trainval.txt", "train"),
        ("train_test_split.txt", None),
        ("labels.csv", None),
        ("README_latest.txt", None),
    ],
)
def test_a_file_may_have_other_words_in_its_name(name: str, split: str | None) -> None:
    assert split_in(name) == split


def test_neutral_names() -> None:
    assert is_neutral("JPEGImages")
    assert is_neutral("data_256")
    assert not is_neutral("cats")
    assert not is_neutral("00017")
