"""Folders of photos in every usual layout: read as their owner means them, or refused with the readings."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest
from unit.data import source_makers as make

import alexnet
from alexnet.cli.main import main
from alexnet.data.inspect import describe_overview, overview
from alexnet.data.manifest import MANIFEST_FILE, PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Source, SourceOptions, open_source, parse_splits
from alexnet.data.sources.photo_files import PhotoIndex
from alexnet.errors import AlexNetError, CommandError

Counts = dict[str, dict[str, int]]


def photos(*folders: str, count: int = 3) -> make.Photos:
    """`count` photos in each folder, with different names."""
    return {
        f"{folder}/{number}_{folder.replace('/', '_')}.jpg": make.photo(97 * place + number)
        for place, folder in enumerate(folders)
        for number in range(count)
    }


def named(folder: str, *names: str) -> make.Photos:
    """Photos with these names in a folder."""
    return {f"{folder}/{name}".lstrip("/"): make.photo(number) for number, name in enumerate(names)}


def counts(source: Source) -> Counts:
    """Photos by class in each split; unlabeled ones by an empty name."""
    names = [*(each.wnid for each in source.classes), ""]
    return {
        split: dict(Counter(names[label] for label in found.labels.tolist()))
        for split, found in source.splits.items()
    }


def read(folder: Path, files: make.Photos, options: SourceOptions = SourceOptions()) -> Source:  # noqa: B008
    """The source of some files, whose labels, keys and bytes fit together."""
    source = open_source(make.write(folder, files), 0, options)
    for split in source.splits.values():
        assert len({split.key(index) for index in range(len(split))}) == len(split)
        for index in range(len(split)):
            example = split[index]
            assert example.label == split.labels[index]
            assert example.image in files.values()
    return source


def refusal(folder: Path, files: make.Photos, options: SourceOptions = SourceOptions()) -> str:  # noqa: B008
    with pytest.raises(AlexNetError) as caught:
        open_source(make.write(folder, files), 0, options)
    message = str(caught.value)
    assert "\n" not in message
    return message


TWO = {"train": {"a": 3, "b": 3}, "val": {"a": 3, "b": 3}}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "val"),
        ("Training", "Validation"),
        ("trn", "dev"),
        ("train_images", "val_images"),
        ("train-images", "valid-images"),
        ("img_train", "img_eval"),
        ("seg_train/seg_train", "seg_val/seg_val"),
        ("train/images", "validation/images"),
        ("flowers_train", "flowers_test"),
        ("Data/set/train", "Data/set/test"),
        ("train2017", "val2017"),
        ("TrainSet", "TestSet"),
    ],
)
def test_split_folders_in_every_spelling(train: str, val: str, tmp_path: Path) -> None:
    source = read(tmp_path, photos(f"{train}/a", f"{train}/b", f"{val}/a", f"{val}/b"))
    assert counts(source) == TWO
    assert source.origins["train"].labels == "folders"


def test_three_splits_and_unlabeled_test_photos(tmp_path: Path) -> None:
    files = photos("train/a", "train/b", "valid/a", "valid/b", "test1")
    assert counts(read(tmp_path, files)) == {**TWO, "test": {"": 3}}


def test_predictions_beside_a_labeled_test_split(tmp_path: Path) -> None:
    files = photos(*(f"seg_{name}/seg_{name}/{each}" for name in ("train", "test") for each in "ab"))
    source = read(tmp_path, files | photos("seg_pred/seg_pred"))
    assert counts(source) == {**TWO, "test": {"": 3}}
    assert source.origins["val"].folder == "seg_test/seg_test"


def test_a_test_folder_with_one_folder_of_unknown_name_is_unlabeled(tmp_path: Path) -> None:
    files = photos("train/a", "train/b", "val/a", "val/b", "test/unknown")
    assert counts(read(tmp_path, files)) == {**TWO, "test": {"": 3}}


def test_a_class_called_train_among_classes(tmp_path: Path) -> None:
    flat = counts(read(tmp_path / "flat", photos("bus", "car", "train")))
    assert flat == {"train": {"bus": 3, "car": 3, "train": 3}}
    nested = read(tmp_path / "nested", photos("bus", "car", "train/steam", "train/diesel"))
    assert counts(nested) == {"train": {"bus": 3, "car": 3, "train": 6}}
    split = read(tmp_path / "split", photos("train/bus", "train/train", "val/bus", "val/train"))
    assert counts(split) == {"train": {"bus": 3, "train": 3}, "val": {"bus": 3, "train": 3}}
    stations = read(tmp_path / "stations", photos("train_station", "bus_station"))
    assert counts(stations) == {"train": {"bus_station": 3, "train_station": 3}}


def test_class_folders_beside_one_folder_with_a_splits_name_are_ambiguous(tmp_path: Path) -> None:
    files = photos("cat", "dog", "test")
    message = refusal(tmp_path, files)
    assert "test/ may be a split or a class" in message
    assert "--class-level 1" in message
    assert "--splits train=.,test=test" in message
    as_class = read(tmp_path, files, SourceOptions(class_level=1))
    assert counts(as_class) == {"train": {"cat": 3, "dog": 3, "test": 3}}
    as_split = read(tmp_path, files, SourceOptions(splits=parse_splits("train=.,test=test")))
    assert counts(as_split) == {"train": {"cat": 3, "dog": 3}, "test": {"": 3}}


def test_other_photos_beside_split_folders_are_left_out_and_named(tmp_path: Path) -> None:
    source = read(tmp_path, photos("train/a", "train/b", "val/a", "val/b", "examples"))
    assert counts(source) == TWO
    assert [each.what for each in source.left_out] == ["examples/ (3 photos)"]
    assert source.strays == []


def test_the_owners_split_below_the_classes_is_kept(tmp_path: Path) -> None:
    files = photos("a/train", "a/val", "b/train", "b/val")
    source = read(tmp_path, files)
    assert counts(source) == TWO
    assert source.splits["val"].key(0) == "a/val/0_a_val.jpg"


def test_splits_below_domains_and_above_classes(tmp_path: Path) -> None:
    files = photos(*(f"photo/{split}/{name}" for split in ("train", "val") for name in "ab"))
    files |= photos(*(f"art/{split}/{name}" for split in ("train", "val") for name in "ab"))
    assert "--class-level 2" in refusal(tmp_path, files)
    source = read(tmp_path, files, SourceOptions(class_level=2))
    assert counts(source) == {"train": {"a": 6, "b": 6}, "val": {"a": 6, "b": 6}}


@pytest.mark.parametrize(
    ("upper", "lower"),
    [(("art", "photo"), ("dog", "elephant")), (("images", "masks"), ("a", "b"))],
)
def test_two_levels_of_folders_are_refused_until_one_is_chosen(
    upper: tuple[str, ...], lower: tuple[str, ...], tmp_path: Path
) -> None:
    files = photos(*(f"{one}/{two}" for one in upper for two in lower))
    message = refusal(tmp_path, files)
    for level, names in enumerate((upper, lower), start=1):
        assert f"{', '.join(names)} (--class-level {level})" in message
        chosen = read(tmp_path, files, SourceOptions(class_level=level))
        assert counts(chosen) == {"train": dict.fromkeys(names, 6)}
        assert chosen.options == {"class_level": level}
        assert chosen.origins["train"].class_level == level
    assert f"such as {tmp_path}/{upper[0]}" in message
    assert counts(open_source(tmp_path / upper[0], 0)) == {"train": dict.fromkeys(lower, 3)}


def test_numbered_folders_around_one_class_each_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    files = photos("001/cat", "002/dog")
    message = refusal(tmp_path, files)
    assert "folders 001, 002 (--class-level 1) or folders cat, dog (--class-level 2)" in message
    assert counts(read(tmp_path, files, SourceOptions(class_level=2))) == {"train": {"cat": 3, "dog": 3}}


def test_lists_of_splits_beside_folders_of_splits_are_refused(tmp_path: Path) -> None:
    files = photos("train/a", "train/b", "val/a", "val/b") | {"fold.txt": b"a/0_train_a.jpg\n"}
    message = refusal(tmp_path, files, SourceOptions(splits={"train": "fold.txt", "val": "fold.txt"}))
    assert (
        "--splits train=fold.txt,val=fold.txt" in message and "has folders of the splits already" in message
    )


@pytest.mark.parametrize(
    "folders", [("a", "b", "a/val", "b/val"), ("a/train", "a/val", "b/train", "b/val", "c")]
)
def test_splits_inside_some_classes_are_refused(folders: tuple[str, ...], tmp_path: Path) -> None:
    message = refusal(tmp_path, photos(*folders))
    assert "has the name of a split, but not all classes have such folders" in message
    found = counts(read(tmp_path, photos(*folders), SourceOptions(class_level=1)))
    assert sum(found["train"].values()) == 3 * len(folders)


def test_a_test_split_of_other_classes_is_refused(tmp_path: Path) -> None:
    files = photos("train/Cat", "train/Dog", "test/cat", "test/dog")
    assert "classes of train and test differ" in refusal(tmp_path, files)


def test_photos_beside_few_in_folders_are_refused_in_one_line(tmp_path: Path) -> None:
    loose = named("", "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert "without labels" in refusal(tmp_path / "1", loose | named("cat", "9.jpg") | named("dog", "8.jpg"))
    rows = b"file,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n4.jpg,b\n"
    edited = loose | named("edited", "1.jpg") | {"labels.csv": rows}
    assert "labels.csv has no label for 2 photos such as 1.jpg" in refusal(tmp_path / "2", edited)


def test_classes_two_levels_down(tmp_path: Path) -> None:
    files = photos("Fruit/Apple", "Fruit/Pear", "Vegetable/Leek", "Vegetable/Pea")
    assert "Apple, Leek, Pea, Pear (--class-level 2)" in refusal(tmp_path, files)
    assert list(counts(read(tmp_path, files, SourceOptions(class_level=2)))["train"]) == [
        "Apple",
        "Leek",
        "Pea",
        "Pear",
    ]
    assert "2 deep" in refusal(tmp_path, files, SourceOptions(class_level=3))


def test_folders_below_classes_that_say_nothing_are_no_second_reading(tmp_path: Path) -> None:
    files = photos("cat/images", "dog/images")
    assert counts(read(tmp_path / "same", files)) == {"train": {"cat": 3, "dog": 3}}
    own = photos("cat/cats", "dog/dogs")
    assert counts(read(tmp_path / "own", own)) == {"train": {"cat": 3, "dog": 3}}
    some = photos("cat", "dog/brown", "eel")
    assert counts(read(tmp_path / "some", some)) == {"train": {"cat": 3, "dog": 3, "eel": 3}}


def test_wnids_leave_no_doubt_at_whatever_level(tmp_path: Path) -> None:
    files = photos(*(f"{kind}/{wnid}" for kind in ("blur", "snow") for wnid in make.WNIDS))
    assert counts(read(tmp_path, files)) == {"train": dict.fromkeys(make.WNIDS, 6)}


def test_images_and_masks_are_no_classes(tmp_path: Path) -> None:
    message = refusal(tmp_path, named("images", "1.jpg", "2.jpg") | named("masks", "1.png", "2.png"))
    assert "images, masks (--class-level 1)" in message


def test_folders_of_annotations_hold_no_photos_to_classify(tmp_path: Path) -> None:
    source = read(tmp_path, photos("images/a", "images/b", "annotations/trimaps"))
    assert counts(source) == {"train": {"a": 3, "b": 3}}
    assert [each.what for each in source.left_out] == ["annotations/ (3 photos)"]


def test_a_split_without_photos_of_a_class_is_noted_and_an_unknown_class_refused(tmp_path: Path) -> None:
    source = read(tmp_path / "few", photos("train/a", "train/b", "train/c", "val/a", "val/b"))
    assert counts(source)["val"] == {"a": 3, "b": 3}
    assert source.notes == ["val has no photo of 1 class: c"]
    assert "only in the second: c" in refusal(tmp_path / "more", photos("train/a", "train/b", "val/c"))


def test_two_folders_for_one_split_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    files = photos("train/a", "train/b", "val/a", "val/b", "dev/a", "dev/b")
    assert "dev/ and val/ may all be the val split" in refusal(tmp_path, files)
    options = SourceOptions(splits=parse_splits("train=train,val=dev"))
    source = read(tmp_path, files, options)
    assert counts(source) == TWO
    assert source.origins["val"].folder == "dev"
    assert [each.what for each in source.left_out] == ["val/ (6 photos)"]


@pytest.mark.parametrize("parts", [("train_1", "train_2"), ("Training images 1", "Training images 2")])
def test_numbered_folders_of_one_split_are_its_parts(parts: tuple[str, str], tmp_path: Path) -> None:
    files = photos(f"{parts[0]}/a", f"{parts[0]}/b", f"{parts[1]}/a", f"{parts[1]}/b", "val/a", "val/b")
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"a": 6, "b": 6}, "val": {"a": 3, "b": 3}}
    assert f"{parts[0]}/ and {parts[1]}/ are parts of train" in source.notes


def test_numbered_parts_of_photos_with_one_label_file(tmp_path: Path) -> None:
    files = (
        named("data/train_1", "1.jpg", "2.jpg") | named("data/train_2", "3.jpg") | named("data/val", "4.jpg")
    )
    files["data/train.csv"] = b"name,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n"
    files["data/val/val.csv"] = b"name,label\n4.jpg,b\n"
    assert counts(read(tmp_path, files)) == {"train": {"a": 2, "b": 1}, "val": {"b": 1}}


@pytest.mark.parametrize("numbers", [(256, 512), (2014, 2017), (1, 3)])
def test_sizes_and_years_are_no_parts_of_splits(numbers: tuple[int, int], tmp_path: Path) -> None:
    files = photos(
        *(f"{folder}/{name}" for folder in (*(f"train{n}" for n in numbers), "val") for name in "ab")
    )
    assert "may all be the train split: choose with --splits" in refusal(tmp_path, files)


def test_folds_are_no_parts_of_splits(tmp_path: Path) -> None:
    files = photos(
        *(f"{split}_{fold}/{name}" for split in ("train", "test") for fold in (1, 2) for name in "ab")
    )
    assert "train_1/ and train_2/ may all be the train split: choose with --splits" in refusal(
        tmp_path, files
    )


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            photos("a", "b"),
            {"configuration": "x"},
            "class folders, a form without --configuration: remove it",
        ),
        (
            photos("images/train") | {"labels/train/0_images_train.txt": b"0 .5 .5 .2 .2\n"},
            {"configuration": "x"},
            "YOLO boxes, a form without --configuration",
        ),
        (photos("a", "b"), {"label_column": "x"}, "--label-column x: "),
    ],
)
def test_options_that_a_form_does_not_have_are_refused(
    files: make.Photos, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, files, SourceOptions(**options))


def test_folders_of_splits_can_be_named_whatever_they_are_called(tmp_path: Path) -> None:
    files = photos("one/a", "one/b", "two/a", "two/b")
    options = SourceOptions(splits={"train": "one", "val": "two"})
    assert counts(read(tmp_path, files, options)) == TWO
    assert "no such folder of photos, and no such list" in refusal(
        tmp_path, files, SourceOptions(splits={"train": "three"})
    )


@pytest.mark.parametrize("text", ["train", "train=", "cats=a", "train=a,training=b"])
def test_malformed_splits_are_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--splits"):
        parse_splits(text)


def test_a_class_in_the_photos_names_is_offered_and_only_read_if_chosen(tmp_path: Path) -> None:
    files = named("train", *(f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(3)))
    files |= named("test1", "1.jpg", "2.jpg")
    assert "--labels-from-names (classes cat, dog)" in refusal(tmp_path, files)
    source = read(tmp_path, files, SourceOptions(labels_from_names=True))
    assert counts(source) == {"train": {"cat": 3, "dog": 3}, "test": {"": 2}}
    assert source.origins["train"].labels == "names"


def test_names_without_a_class_are_left_out_or_refused(tmp_path: Path) -> None:
    chosen = SourceOptions(labels_from_names=True)
    files = named("", "Great_Dane_1.jpg", "Great_Dane_2.jpg", "pug (3).jpg", "4.jpg")
    source = read(tmp_path / "some", files, chosen)
    assert counts(source) == {"train": {"Great_Dane": 2, "pug": 1}}
    assert source.left_out[0].what == "1 photo of train"
    numbers = named("", "1.jpg", "2.jpg")
    assert "remove --labels-from-names" in refusal(tmp_path / "none", numbers, chosen)
    assert "--labels-from-names" not in refusal(tmp_path / "none", numbers)


def test_a_folder_of_another_form_beside_class_folders_is_refused(tmp_path: Path) -> None:
    files = photos("cat", "dog") | {"eel/IMG_1.MOV": b"x"}
    assert "eel holds no photo (1 file such as IMG_1.MOV)" in refusal(tmp_path / "class", files)
    files = photos("cat", "dog") | {"meta/notes.txt": b"x"}
    assert counts(read(tmp_path / "meta", files)) == {"train": {"cat": 3, "dog": 3}}
    files = photos("cat", "dog") | {"scripts/update.py": b"x", "scripts/counts.csv": b"x"}
    source = read(tmp_path / "scripts", files)
    assert counts(source) == {"train": {"cat": 3, "dog": 3}}
    assert any("scripts" in stray for stray in source.strays)


def test_the_options_are_recorded_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make.write(tmp_path / "photos", photos("art/dog", "art/elk", "photo/dog", "photo/elk"))
    words = ["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--side", "16", "--workers", "1"]
    assert main(words) == 3
    assert main([*words, "--class-level", "2"]) == 0
    header = json.loads((tmp_path / "store" / MANIFEST_FILE).read_text())
    assert header["source"]["options"] == {"class_level": 2}
    assert main([*words, "--class-level", "2"]) == 0
    capsys.readouterr()
    assert main([*words, "--class-level", "1"]) == 2
    assert "was prepared with --class-level 2 (now --class-level 1)" in capsys.readouterr().err
    options = alexnet.SourceOptions(class_level=2)
    again = alexnet.prepare(tmp_path / "photos", tmp_path / "store", side=16, workers=1, options=options)
    assert [each.wnid for each in again.classes] == ["dog", "elk"]


def test_a_store_without_recorded_options_is_still_known(tmp_path: Path) -> None:
    source = read(tmp_path / "photos", photos("cat", "dog"))
    store = prepare(source, tmp_path / "store", PrepareSettings(side=16), workers=1)
    file = store.path / MANIFEST_FILE
    header = json.loads(file.read_text())
    del header["source"]["options"], header["checksum"]
    file.write_text(json.dumps(header))
    assert prepare(source, tmp_path / "store", PrepareSettings(side=16), workers=1).splits == ["train"]
    other = dataclasses.replace(source, options={"class_level": 1})
    with pytest.raises(CommandError, match="options"):
        prepare(other, tmp_path / "store", PrepareSettings(side=16), workers=1)


def test_photos_are_found_by_numbers_of_any_number_of_digits() -> None:
    index = PhotoIndex([f"image_{5000 * '9'}.jpg", "image_0007.jpg"])
    assert [index.find_number(text) for text in (5000 * "9", "7", "007", "8")] == [0, 1, 1, None]


def test_a_folder_called_more_beside_class_folders_is_refused_until_a_level_is_chosen(tmp_path: Path) -> None:
    files = photos("dress", "more/skirt", "more/shorts")
    message = refusal(tmp_path, files)
    assert "more/ may be a class, or hold the classes shorts, skirt" in message
    assert "--class-level 1 (classes dress, more)" in message
    assert "--class-level -1 (the innermost folders: dress, shorts, skirt)" in message
    classes = read(tmp_path, files, SourceOptions(class_level=1))
    assert counts(classes) == {"train": {"dress": 3, "more": 6}}
    innermost = read(tmp_path, files, SourceOptions(class_level=-1))
    assert counts(innermost) == {"train": {"dress": 3, "shorts": 3, "skirt": 3}}
    assert "classes are the innermost folders in the source" in "\n".join(
        describe_overview(overview(innermost))
    )
    own = read(tmp_path / "own", photos("dress", "more", "more/day1"))
    assert counts(own) == {"train": {"dress": 3, "more": 6}}


def test_the_innermost_folders_are_offered_where_folders_are_of_different_depths(tmp_path: Path) -> None:
    files = photos("hat", count=1) | photos("wear/dress", "wear/skirt", "feet/shoe", count=9)
    assert "the innermost folders dress, hat, shoe, skirt (--class-level -1)" in refusal(tmp_path, files)
    with pytest.raises(CommandError, match="--class-level -2"):
        open_source(tmp_path, 0, SourceOptions(class_level=-2))


def test_photos_in_folders_inside_a_class_are_of_the_class_and_said_to_be(tmp_path: Path) -> None:
    steam = read(tmp_path / "1", photos("bus", "car", "train/steam", "train/diesel"))
    assert counts(steam) == {"train": {"bus": 3, "car": 3, "train": 6}}
    assert steam.notes == [
        "photos in train/diesel, train/steam are of the class train; --class-level -1 makes a class of each "
        "innermost folder"
    ]
    own = read(tmp_path / "2", photos("cat", "cat/indoors", "dog"))
    assert own.notes[0].startswith("photos in cat/indoors are of the class cat;")
    assert read(tmp_path / "3", photos("cat/images", "dog/images")).notes == []


@pytest.mark.parametrize(
    "inside",
    [("day1", "day2"), ("2024-05-01", "2024-05-02"), ("100CANON", "101CANON"), ("Session_1", "session 2")],
)
def test_folders_of_days_and_cameras_are_no_classes(inside: tuple[str, str], tmp_path: Path) -> None:
    files = photos(*(f"{name}/{each}" for name in ("cat", "dog") for each in inside))
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"cat": 6, "dog": 6}}
    assert source.notes == []  # they are not offered as classes either
    innermost = read(tmp_path, files, SourceOptions(class_level=-1))
    wanted = [f"the class {each} has the photos of cat/{each}, dog/{each}" for each in inside]
    assert sorted(innermost.notes) == sorted(wanted)


def test_folders_of_outputs_are_classes_with_a_note_until_they_are_excluded(tmp_path: Path) -> None:
    files = photos("cat", "dog", "_old", "results", "__MACOSX", ".thumbnails", "cat/#recycle")
    source = read(tmp_path, files)
    assert [each.wnid for each in source.classes] == ["_old", "cat", "dog", "results"]
    assert source.notes == [
        "the classes _old, results may be folders of something else: --exclude _old,results leaves them out"
    ]
    assert source.strays == [".thumbnails/ (3 files)", "__MACOSX/ (3 files)", "cat/#recycle/ (3 files)"]
    kept = read(tmp_path, files, SourceOptions(exclude="_old,results/"))
    assert counts(kept) == {"train": {"cat": 3, "dog": 3}}
    assert [each.what for each in kept.left_out] == ["_old/ (3 photos)", "results/ (3 photos)"]
    assert kept.notes == [] and kept.options == {"exclude": "_old,results/"}


def test_a_folder_with_a_comma_in_its_name_is_excluded_as_advised(tmp_path: Path) -> None:
    files = photos("cat", "dog", "_old, bad")
    (note,) = read(tmp_path, files).notes
    assert "--exclude '_old, bad' leaves it out" in note
    assert counts(read(tmp_path, files, SourceOptions(exclude="_old, bad"))) == {
        "train": {"cat": 3, "dog": 3}
    }


def test_folders_are_excluded_by_name_at_any_depth_or_by_path(tmp_path: Path) -> None:
    files = photos(*(f"{split}/{name}" for split in ("train", "val") for name in ("a", "b", "thumbs")))
    assert counts(read(tmp_path, files, SourceOptions(exclude="thumbs"))) == TWO
    message = refusal(tmp_path, files, SourceOptions(exclude="train/thumb"))
    assert "--exclude train/thumb" in message and "has no such folder" in message
    tar = make.write(tmp_path / "tars", {"all.tar": make.tar_bytes(files)}) / "all.tar"
    from_tar = open_source(tar, 0, SourceOptions(exclude="train/thumbs,val/thumbs"))
    assert counts(from_tar) == TWO
    found = from_tar.splits["val"]
    assert {found.key(index): found[index].image for index in range(len(found))} == {
        name.removeprefix("val/"): data for name, data in files.items() if name.startswith(("val/a", "val/b"))
    }


@pytest.mark.parametrize(
    ("folders", "listed"),
    [
        (("tr", "va", "te"), "--splits train=tr,val=va,test=te"),
        (("trainingsdaten", "testdaten"), "--splits train=trainingsdaten,test=testdaten"),
        (("train", "unseen", "more data"), "--splits train=FOLDER,val=FOLDER,test=FOLDER"),
    ],
)
def test_folders_that_may_be_splits_are_offered_as_such(
    folders: tuple[str, ...], listed: str, tmp_path: Path
) -> None:
    files = photos(*(f"{folder}/{name}" for folder in folders for name in ("a", "b")))
    assert f"with {listed} if these are splits" in refusal(tmp_path, files)
    if "FOLDER" not in listed:
        options = SourceOptions(splits=parse_splits(listed.removeprefix("--splits ")))
        assert sum(map(len, read(tmp_path, files, options).splits.values())) == len(files)
    assert "splits" not in refusal(
        tmp_path / "domains", photos("art/dog", "art/elk", "photo/dog", "photo/elk")
    )


def test_a_split_beside_another_folder_of_the_same_classes_is_offered_with_it(tmp_path: Path) -> None:
    message = refusal(tmp_path, photos("train/a", "train/b", "unseen/a", "unseen/b"))
    assert "--splits train=train,test=unseen" in message
    assert counts(read(tmp_path / "1", photos("train/a", "train/b", "holdout/a", "holdout/b"))) == TWO


def test_classes_in_the_names_of_photos_of_several_folders_are_said_to_be_there(tmp_path: Path) -> None:
    people = {
        f"{person}/{name}.{number:03}.jpg": make.photo(10 * place + number)
        for place, person in enumerate(("anna", "ben", "cem"))
        for name in ("cat", "dog")
        for number in range(3)
    }
    source = read(tmp_path / "1", people)
    (note,) = source.notes
    assert note.startswith("the photos' names begin with cat, dog in several folders: --labels-from-names")
    named_so = open_source(tmp_path / "1", 0, SourceOptions(labels_from_names=True))
    assert counts(named_so) == {"train": {"cat": 9, "dog": 9}}
    cameras = {
        f"{name}/{camera}_{number:04}.jpg": make.photo(number)
        for name in ("cat", "dog")
        for camera in ("IMG", "DSC")
        for number in range(3)
    }
    assert read(tmp_path / "2", cameras).notes == []


def test_raw_photos_and_archives_are_said_to_be_unreadable(tmp_path: Path) -> None:
    raw = photos("cat", "dog") | {"cat/7.CR2": b"II*\0", "dog/8.nef": b"II*\0"}
    (note,) = read(tmp_path / "some", raw).notes
    assert note.startswith("2 raw photos such as cat/7.CR2 cannot be read: convert them to JPEG")
    message = refusal(tmp_path / "class", photos("cat", "dog") | {"owl/7.CR2": b"II*\0"})
    assert "owl holds no photo" in message
    assert "convert raw photos to JPEG, leave it out with --exclude owl" in message
    excluded = open_source(tmp_path / "class", 0, SourceOptions(exclude="owl"))
    assert counts(excluded) == {"train": {"cat": 3, "dog": 3}}
    packed = refusal(tmp_path / "packed", {"cat.zip": b"PK\3\4", "dog.zip": b"PK\3\4"})
    assert "(unpack cat.zip, dog.zip first)" in packed
