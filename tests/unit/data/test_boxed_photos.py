"""COCO's JSON and YOLO's text files as sources of boxes, in the layouts in which people have them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from reference.oriented_photos import file_with_orientation, find_rectangle, iou, upright_photo
from unit.data import source_makers as make

import alexnet
from alexnet.data.decode import decode
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Source, open_source
from alexnet.data.sources import yolo as module
from alexnet.data.sources.yolo import parse_names
from alexnet.errors import DataError

SIZE = (120, 72)
LARGE, SMALL = (12, 30, 47, 59), (80, 6, 91, 13)
"""x0, y0, x1, y1 in pixels, last ones included."""
Objects = list[tuple[str, tuple[int, int, int, int]]]
TRAIN: dict[str, Objects] = {
    "a": [("dog", LARGE), ("cat", SMALL)],
    "b": [("cat", LARGE)],
    "c": [],
    "d": [("dog", SMALL)],
}
VAL: dict[str, Objects] = {"e": [("cat", LARGE), ("dog", SMALL)]}
NAMES = ["dog", "cat", "yak"]
IDS = {"dog": 3, "cat": 17, "yak": 90}


def photo(name: str) -> bytes:
    return file_with_orientation(upright_photo(SIZE, LARGE), 6 if name == "b" else 1)


def coco(photos: dict[str, Objects], prefix: str = "", names: list[str] = NAMES, **first: Any) -> bytes:
    """COCO's JSON; sizes and boxes are those of upright photos."""
    images = [
        {"id": 100 + i, "file_name": f"{prefix}{name}.png", "width": SIZE[0], "height": SIZE[1]}
        for i, name in enumerate(photos)
    ]
    annotations: list[dict[str, Any]] = [
        {
            "id": 1,
            "image_id": 100 + i,
            "category_id": IDS[name],
            "iscrowd": 0,
            "bbox": [x0, y0, x1 + 1 - x0, y1 + 1 - y0],
        }
        for i, objects in enumerate(photos.values())
        for name, (x0, y0, x1, y1) in objects
    ]
    if annotations and first:
        annotations[0] |= first
    categories = [{"id": IDS[name], "name": name, "supercategory": "pet"} for name in names]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories}).encode()


def yolo(objects: Objects) -> bytes:
    lines: list[str] = []
    for name, (x0, y0, x1, y1) in objects:
        width, height = SIZE
        center = ((x0 + x1 + 1) / 2 / width, (y0 + y1 + 1) / 2 / height)
        sides = ((x1 + 1 - x0) / width, (y1 + 1 - y0) / height)
        lines.append(" ".join(map(str, (NAMES.index(name), *center, *sides))))
    return "\n".join(lines).encode() + b"\n"


def photos_in(folder: str, photos: dict[str, Objects]) -> make.Photos:
    return {f"{folder}/{name}.png": photo(name) for name in photos}


def texts_in(folder: str, photos: dict[str, Objects]) -> make.Photos:
    return {f"{folder}/{name}.txt": yolo(objects) for name, objects in photos.items() if objects}


YAML = b"train: ../train/images\nval: ../val/images\nnc: 3\nnames: ['dog', 'cat', 'yak']  # as drawn\n"
LAYOUTS: dict[str, make.Photos] = {
    "COCO": {
        **photos_in("train2017", TRAIN),
        **photos_in("val2017", VAL),
        "annotations/instances_train2017.json": coco(TRAIN),
        "annotations/instances_val2017.json": coco(VAL, names=NAMES[::-1]),
        "annotations/person_keypoints_train2017.json": coco(TRAIN),
        "annotations/captions_train2017.json": b'{"images": [], "annotations": [{"caption": "a"}]}',
    },
    "COCO, photos below images": {
        **photos_in("images/train", TRAIN),
        **photos_in("images/val", VAL),
        "train.json": coco(TRAIN, "images/train/"),
        "val.json": coco(VAL, "images/val/"),
    },
    "COCO of Roboflow": {
        **photos_in("train", TRAIN),
        **photos_in("valid", VAL),
        "train/_annotations.coco.json": coco(TRAIN),
        "valid/_annotations.coco.json": coco(VAL),
    },
    "YOLO, splits below images": {
        **photos_in("images/train", TRAIN),
        **photos_in("images/val", VAL),
        **texts_in("labels/train", TRAIN),
        **texts_in("labels/val", VAL),
        "data.yaml": YAML,
    },
    "YOLO of Roboflow": {
        **photos_in("set/train/images", TRAIN),
        **photos_in("set/valid/images", VAL),
        **texts_in("set/train/labels", TRAIN),
        **texts_in("set/valid/labels", VAL),
        "set/data.yaml": b"names:\n- dog\n- cat\n- yak\nnc: 3\n",
    },
    "YOLO of darknet": {
        **photos_in("obj_train_data", TRAIN),
        **photos_in("obj_valid_data", VAL),
        **texts_in("obj_train_data", TRAIN),
        **texts_in("obj_valid_data", VAL),
        "obj.names": b"dog\ncat\nyak\n",
    },
}


def voc(objects: Objects) -> bytes:
    parts = [make.annotation(name, corners, SIZE) for name, corners in objects]
    things = (part[part.index(b"<object>") : part.index(b"</annotation>")] for part in parts)
    head = make.annotation("x", LARGE, SIZE)
    return head[: head.index(b"<object>")] + b"".join(things) + b"</annotation>"


def xml_in(folder: str, photos: dict[str, Objects]) -> make.Photos:
    return {f"{folder}/{name}.xml": voc(objects) for name, objects in photos.items()}


LAYOUTS |= {
    "VOC": {
        **photos_in("VOC2012/JPEGImages", TRAIN | VAL),
        **xml_in("VOC2012/Annotations", TRAIN | VAL),
        **photos_in("VOC2012/SegmentationClass", {"a": []}),
        "VOC2012/ImageSets/Main/train.txt": b"a\nb\nc\nd\n",
        "VOC2012/ImageSets/Main/val.txt": b"e\n",
        "VOC2012/ImageSets/Main/trainval.txt": b"a\nb\nc\nd\ne\n",
        "VOC2012/ImageSets/Main/dog_train.txt": b"a 1\nb -1\n",
    },
    "VOC of Roboflow": {
        **photos_in("train", TRAIN),
        **xml_in("train", TRAIN),
        **photos_in("valid", VAL),
        **xml_in("valid", VAL),
    },
}


def opened(folder: Path) -> Source:
    return pickle.loads(pickle.dumps(open_source(folder, 0)))


def found(source: Source, split: str) -> dict[str, tuple[str, list[tuple[str, tuple[float, ...]]]]]:
    """By the stem of its name: the class of each photo and its boxes."""
    photos = source.splits[split]
    examples = (photos[index] for index in range(len(photos)))
    name = [each.name for each in source.classes].__getitem__
    return {
        Path(each.key).stem: (name(each.label), [(name(box.label), box[1:]) for box in each.boxes])
        for each in examples
    }


def fractions(corners: tuple[int, int, int, int]) -> tuple[float, ...]:
    x0, y0, x1, y1 = corners
    return x0 / SIZE[0], y0 / SIZE[1], (x1 + 1) / SIZE[0], (y1 + 1) / SIZE[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_and_labels_in_every_layout(layout: str, tmp_path: Path) -> None:
    source = opened(make.write(tmp_path, LAYOUTS[layout]))
    is_voc = layout.startswith("VOC")
    assert source.form == f"{'PASCAL VOC' if is_voc else layout[:4]} boxes"
    assert [each.name for each in source.classes] == (["cat", "dog"] if is_voc else ["dog", "cat"])
    train = found(source, "train")
    assert {name: label for name, (label, _) in train.items()} == {"a": "dog", "b": "cat", "d": "dog"}
    names, boxes = zip(*train["a"][1], strict=True)
    assert names == ("dog", "cat")
    np.testing.assert_allclose(boxes, [fractions(LARGE), fractions(SMALL)], atol=1e-6)
    assert found(source, "val")["e"][0] == "cat"
    assert ("1 class without a box: yak" in source.strays) == (not is_voc)
    assert "train: 1 photo without an object" in source.strays
    expected = 2 - is_voc + ("keypoints" in str(LAYOUTS[layout])) + ("captions" in str(LAYOUTS[layout]))
    assert len(source.strays) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_are_where_the_objects_are_also_on_turned_photos(layout: str, tmp_path: Path) -> None:
    source = open_source(make.write(tmp_path / "photos", LAYOUTS[layout]), 0)
    for exif in (True, False):
        settings = PrepareSettings(72, shape="whole", exif=exif)
        train = prepare(source, tmp_path / f"store {exif}", settings, workers=1).split("train")
        records = [train[index] for index in range(len(train)) if Path(train.key(index)).stem in "ab"]
        assert len(records) == 2
        for record in records:
            assert iou(record.boxes[0][1:], find_rectangle(decode(bytes(record.image)))) > 0.9


@pytest.mark.parametrize("form", ["COCO", "YOLO"])
@pytest.mark.parametrize("task", ["localization", "detection"])
def test_a_model_is_trained_on_them(form: str, task: str, tmp_path: Path) -> None:
    train = {f"p{n}": [(("dog", "cat")[n % 2], LARGE)] for n in range(8)}
    val = {f"q{n}": [(("dog", "cat")[n % 2], LARGE)] for n in range(4)}
    files = {**photos_in("images/train", train), **photos_in("images/val", val)}
    if form == "COCO":
        files |= {"annotations/train.json": coco(train), "annotations/val.json": coco(val)}
    else:
        files |= texts_in("labels/train", train) | texts_in("labels/val", val) | {"data.yaml": YAML}
    source = make.write(tmp_path / "photos", files)
    shape = "whole" if task == "detection" else "square"
    store = alexnet.prepare(source, tmp_path / "store", side=tiny.SIDE_PIXELS, shape=shape, workers=1)
    assert store.manifest.source.form == f"{form} boxes"
    recipe = f"overfeat-fast-{task}"
    settings = [*tiny.box_settings(recipe), "training.batch_size=4", "schedule.epochs=1"]
    first = tiny.box_run(tmp_path / "first", store, recipe).path
    result = alexnet.train(recipe, store, tmp_path / "run", *settings, init_from=first, device="cpu")
    assert result.step == 2


def test_class_folders_with_xml_are_class_folders(tmp_path: Path) -> None:
    files = {**photos_in("train/dog", {"a": []}), **photos_in("train/cat", {"b": []})}
    files |= xml_in("train/dog", {"a": [("dog", LARGE)]})
    assert opened(make.write(tmp_path, files)).form == "train and val folders"


def test_photos_outside_the_lists_of_voc_are_left_out(tmp_path: Path) -> None:
    files = LAYOUTS["VOC"] | photos_in("VOC2012/JPEGImages", {"f": []})
    source = opened(make.write(tmp_path, files))
    assert "1 photo that no list in ImageSets/Main has" in source.strays
    assert "f" not in found(source, "train")


def test_the_name_of_a_photo_says_nothing_about_its_split(tmp_path: Path) -> None:
    files = {"data.yaml": b"names: [dog, cat]\n"}
    for split, name in (("train", "crash_test_1"), ("train", "2"), ("valid", "train_3")):
        files |= {
            f"{split}/images/{name}.png": photo("a"),
            f"{split}/labels/{name}.txt": yolo([("dog", LARGE)]),
        }
    source = opened(make.write(tmp_path, files))
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 2, "val": 1}


def test_two_images_of_coco_in_one_photo_are_refused(tmp_path: Path) -> None:
    files = photos_in("site_A", {"1": []}) | {"site_A/2.png": photo("a")}
    listed = json.loads(coco({"site_A/1": [("dog", LARGE)], "site_B/1": [("cat", LARGE)]}))
    files["train.json"] = json.dumps(listed).encode()
    with pytest.raises(
        DataError, match=r"lists site_B/1\.png and another photo called so, but only site_A/1"
    ):
        opened(make.write(tmp_path, files))


def test_boxes_of_another_split_are_not_those_of_a_photo_of_the_same_name(tmp_path: Path) -> None:
    files = photos_in("train", {"1": [], "2": []}) | photos_in("valid", {"1": [], "3": []})
    files |= xml_in("train", {"1": [("dog", LARGE)], "2": [("cat", LARGE)]}) | xml_in(
        "valid", {"3": [("dog", SMALL)]}
    )
    source = opened(make.write(tmp_path, files))
    val = source.splits["val"]
    assert [val.key(index).rpartition("/")[2] for index in range(len(val)) if val[index].boxes] == ["3.png"]
    assert len(source.splits["train"]) == 2


def test_lists_are_those_of_the_folder_that_a_photo_is_in(tmp_path: Path) -> None:
    files: make.Photos = {}
    for folder, split in (("A", "train"), ("B", "val")):
        files |= photos_in(f"{folder}/JPEGImages", {"1": []})
        files |= xml_in(f"{folder}/Annotations", {"1": [("dog" if folder == "A" else "cat", LARGE)]})
        files[f"{folder}/ImageSets/Main/{split}.txt"] = b"1\n"
    source = opened(make.write(tmp_path, files))
    names = {
        split: source.classes[int(found.labels[0])].name
        for split, found in source.splits.items()
        if len(found)
    }
    assert names == {"train": "dog", "val": "cat"}


def test_key_points_after_a_box_are_left_out(tmp_path: Path) -> None:
    files = {
        "images/train/a.png": photo("a"),
        "labels/train/a.txt": b"0 0.5 0.5 0.2 0.2 0.1 0.9 0.9 0.1\n",
        "data.yaml": b"kpt_shape: [2, 2]\nnames: [dog, cat]\n",
    }
    (box,) = opened(make.write(tmp_path, files)).splits["train"][0].boxes
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0.4, 0.4, 0.6, 0.6))


def test_coco_without_boxes_labels_whole_photos(tmp_path: Path) -> None:
    listed = json.loads(coco({"a": [("dog", LARGE)], "b": [("cat", LARGE)]}))
    for each in listed["annotations"]:
        each["bbox"] = []
    files = photos_in("images", {"a": [], "b": []}) | {"labels.json": json.dumps(listed).encode()}
    source = opened(make.write(tmp_path, files))
    assert [each.name for each in source.classes] == ["cat", "dog"] and "COCO" not in source.form


def test_one_file_of_coco_for_all_folders_of_splits(tmp_path: Path) -> None:
    files = photos_in("images/train", {"a": []}) | photos_in("images/val", {"e": []})
    listed = {"images/train/a": [("dog", LARGE)], "images/val/e": [("cat", LARGE)]}
    source = opened(make.write(tmp_path, files | {"annotations/instances_default.json": coco(listed)}))
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("yaml", "texts"),
    [
        (b"train: ../images/x\nval: images/y # here\nnames: [dog, cat]\n", {}),
        (
            b"train: train.txt\nval: val.txt\nnames: [dog, cat]\n",
            {"train.txt": b"./images/x/a.png\n", "val.txt": b"./images/y/e.png\n"},
        ),
    ],
)
def test_splits_of_yolo_are_those_of_the_yaml_file(
    yaml: bytes, texts: dict[str, bytes], tmp_path: Path
) -> None:
    files = {
        "data.yaml": yaml,
        **texts,
        "images/z/f.png": photo("a"),
        "labels/z/f.txt": yolo([("dog", LARGE)]),
    }
    for folder, name in (("x", "a"), ("y", "e")):
        files |= {
            f"images/{folder}/{name}.png": photo("a"),
            f"labels/{folder}/{name}.txt": yolo([("dog", LARGE)]),
        }
    source = opened(make.write(tmp_path, files))
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 1, "val": 1}
    assert "1 photo in no split of the YAML file" in source.strays


def test_lists_of_voc_in_other_words(tmp_path: Path) -> None:
    files = {
        path.replace("train.txt", "Train.txt").replace("val.txt", "Validation.txt"): data
        for path, data in LAYOUTS["VOC"].items()
        if not path.endswith("trainval.txt")
    }
    assert len(opened(make.write(tmp_path, files)).splits["val"]) == 1


def test_class_folders_under_boxes_of_one_class_are_noted(tmp_path: Path) -> None:
    files = {f"{folder}/{folder}.png": photo("a") for folder in ("siamese", "tabby")}
    files |= {f"{folder}/{folder}.txt": yolo([("dog", LARGE)]) for folder in ("siamese", "tabby")}
    (note,) = opened(make.write(tmp_path, files | {"classes.txt": b"dog\n"})).notes
    assert (
        note == "the classes are those of the boxes; --class-level 1 takes the folders siamese, tabby instead"
    )


def test_boxes_around_crowds_are_left_out(tmp_path: Path) -> None:
    files = {**photos_in("images", TRAIN), "annotations.json": coco(TRAIN, iscrowd=1)}
    source = opened(make.write(tmp_path, files))
    assert [name for name, _ in found(source, "train")["a"][1]] == ["cat"]
    assert "train: 1 box around crowds" in source.strays


def test_missing_photos_and_photos_of_one_name(tmp_path: Path) -> None:
    files = {**photos_in("images", {"a": [], "b": []}), "annotations.json": coco(TRAIN)}
    source = opened(make.write(tmp_path / "missing", files))
    assert list(found(source, "train")) == ["a", "b"]
    assert "annotations.json: d.png (its photo is missing)" in source.strays
    files = {**photos_in("one", TRAIN), **photos_in("two", TRAIN)}
    with pytest.raises(DataError, match=r"lists a\.png, and several photos are called so"):
        open_source(make.write(tmp_path / "two", files | {"annotations.json": coco(TRAIN)}))
    files["annotations.json"] = coco(TRAIN, "two/")
    assert len(opened(make.write(tmp_path / "folders", files)).splits["train"]) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b'"category_id": 3', b'"category_id": 4'), "not in COCO's format"),
        ((b'"bbox": [12, ', b'"bbox": ["x", '), "not in COCO's format"),
        ((b'"bbox": [12, ', b'"bbox": [NaN, '), "not in COCO's format"),
        ((b"]}", b"]"), "not complete JSON"),
    ],
)
def test_broken_coco(change: tuple[bytes, bytes], words: str, tmp_path: Path) -> None:
    old, new = change
    text = coco(TRAIN)
    broken = text[: -len(old)] + new if text.endswith(old) else text.replace(old, new, 1)
    assert broken != text
    files = {**photos_in("images", TRAIN), "annotations.json": broken}
    with pytest.raises(DataError, match=f"annotations.json .*{words}"):
        open_source(make.write(tmp_path, files))


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    files = {**photos_in("images", TRAIN), "one.json": coco(TRAIN), "two.json": coco(TRAIN)}
    with pytest.raises(DataError, match=r"one\.json, two\.json may all have the boxes of train"):
        open_source(make.write(tmp_path, files))


def test_a_json_file_for_each_photo_is_not_read(tmp_path: Path) -> None:
    files = {**photos_in("images", TRAIN), "annotations.json": coco(TRAIN)}
    files |= {f"labelme/{number}.json": coco(VAL) for number in range(120)}
    assert list(found(opened(make.write(tmp_path, files)), "train")) == ["a", "d", "b"]


def one_yolo(folder: Path, line: str, names: bytes | None = b"dog\ncat\n") -> Source:
    files = {"images/a.png": photo("a"), "labels/a.txt": line.encode()}
    return opened(make.write(folder, files | ({} if names is None else {"classes.txt": names})))


@pytest.mark.parametrize(
    "line",
    ["1 0.25 0.5 0.3 0.4", "1\t0.25  0.5 0.3 0.4 0.97\r\n", "1 0.1 0.3 0.4 0.3 0.4 0.7 0.1 0.7 0.2 0.5"],
)
def test_lines_of_boxes_confidences_and_polygons(line: str, tmp_path: Path) -> None:
    ((label, boxes),) = found(one_yolo(tmp_path, line), "train").values()
    assert label == "cat"
    np.testing.assert_allclose(boxes[0][1], (0.1, 0.3, 0.4, 0.7), atol=1e-6)


def test_without_names_classes_are_numbers(tmp_path: Path) -> None:
    source = one_yolo(tmp_path, "4 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.5 0.5", None)
    assert [each.name for each in source.classes] == ["2", "4"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 0.25 0.5 0.3 0.4\n7 0.25 0.5 0.3 0.4", "line 2: class 7, but there are names for 2"),
        ("1 0.25 0.5 0.3 0.4 0.5 0.6 0.7", "line 1 is not the number"),
    ],
)
def test_broken_yolo(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"labels/a\.txt, {words}"):
        one_yolo(tmp_path, line)


def test_texts_that_are_no_boxes_are_not_taken_for_them(tmp_path: Path) -> None:
    """Captions beside photos of class folders."""
    files = {f"{name}/1.jpg": make.photo(seed) for seed, name in enumerate(("cat", "dog"))}
    files |= {"cat/1.txt": b"a cat on a mat\n", "dog/1.txt": b"12\n", "classes.txt": b"cat\ndog\n"}
    files |= {"other.yaml": b"names: [a, b]\n", "numbers.yml": b"names:\n  5: five\n"}
    assert open_source(make.write(tmp_path, files), 0).form != "YOLO boxes"


@pytest.mark.parametrize(
    "text",
    [
        "names: [dog, cat]",
        "nc: 2\nnames: ['dog', \"cat\"]\n",
        "names:\n  - dog\n  - cat\nnc: 2",
        "names:\n- dog # a\n- cat",
        "names:\n  0: dog\n  1: cat\n\n# end\nnc: 2",
        "names: {0: dog, 1: 'cat'}",
        "path: .\nnames: [\n  'dog',\n  'cat',\n]\nnc: 2",
        "names :\n  1: cat\n  0: dog",
    ],
)
def test_names_in_yaml(text: str) -> None:
    assert parse_names(text) == ["dog", "cat"]


def test_other_yaml() -> None:
    assert parse_names("names: ['a, b', c]") == ["a, b", "c"]
    assert parse_names("nc: 2\n") == []
    with pytest.raises(ValueError, match="numbered 1, 2, not from 0"):
        parse_names("names:\n  1: dog\n  2: cat")


def test_the_boxes_in_use_are_collected_once(tmp_path: Path, monkeypatch) -> None:
    calls: list[int] = []

    def counted(*values):
        calls.append(len(values))
        return set(*values)

    monkeypatch.setattr(module, "set", counted, raising=False)
    files = {**photos_in("images", TRAIN), **texts_in("labels", TRAIN), "classes.txt": b"dog\ncat\nyak\n"}
    files |= {f"labels/other{number}.txt": b"0 0.5 0.5 0.1 0.1" for number in range(40)}
    assert "40 annotations of missing photos" in " ".join(opened(make.write(tmp_path, files)).strays)
    assert len(calls) < 5


def test_brackets_of_yaml_are_counted_once(monkeypatch) -> None:
    read: list[int] = []
    count = module._opened_brackets
    monkeypatch.setattr(module, "_opened_brackets", lambda text: read.append(len(text)) or count(text))
    names = [f"name{number}" for number in range(500)]
    text = "names: [\n" + "".join(f"  {name},\n" for name in names) + "]\nnc: 500\n"
    assert parse_names(text) == names
    assert sum(read) <= len(text)


def test_numbers_of_many_digits_in_yaml() -> None:
    with pytest.raises(ValueError, match="the number of a class has 5,000 digits"):
        parse_names(f"names:\n  0: dog\n  {5000 * '9'}: cat")
