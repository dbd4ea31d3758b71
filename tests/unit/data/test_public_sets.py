"""What people download most, as it is published: names, lists and separators are those of the real files."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from unit.data import source_makers as make
from unit.data.test_layouts import counts, named, photos, read, refusal

from alexnet.data.decode import decode
from alexnet.data.sources import Source, SourceOptions, open_source
from alexnet.data.sources import matlab as matlab_files
from alexnet.data.sources.matlab import read_vectors
from alexnet.errors import DataError


def within(folder: str, files: make.Photos) -> make.Photos:
    return {f"{folder}/{name}": data for name, data in files.items()}


def text(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def keys(source: Source, split: str) -> list[str]:
    return [source.splits[split].key(index) for index in range(len(source.splits[split]))]


def test_cub_200_2011(tmp_path: Path) -> None:
    names = [
        "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg",
        "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
        "002.Laysan_Albatross/Laysan_Albatross_0001_545.jpg",
        "002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg",
    ]
    files = within("images", named("", *names)) | {
        "images.txt": text(*(f"{number} {name}" for number, name in enumerate(names, 1))),
        "image_class_labels.txt": text("1 1", "2 1", "3 2", "4 2"),
        "train_test_split.txt": text("1 1", "2 0", "3 0", "4 1"),
        "classes.txt": text("1 001.Black_footed_Albatross", "2 002.Laysan_Albatross"),
        "bounding_boxes.txt": text(
            "1 60.0 27.0 325.0 304.0", "2 139.0 30.0 153.0 264.0", "3 1 1 5 5", "4 1 1 5 5"
        ),
        "README": b"Caltech-UCSD Birds",
        "parts/parts.txt": text("1 back", "2 beak"),
        "attributes/certainties.txt": text("1 not visible", "2 guessing"),
    }
    source = read(
        tmp_path, within("CUB_200_2011", files) | {"attributes.txt": text("1 has_bill_shape::curved")}
    )
    assert keys(source, "train") == [names[0], names[3]]
    assert keys(source, "val") == [names[1], names[2]]
    assert source.origins["val"].lists == ("CUB_200_2011/images.txt", "CUB_200_2011/train_test_split.txt")


def test_food_101(tmp_path: Path) -> None:
    train = ["apple_pie/1005649", "apple_pie/1014775", "baby_back_ribs/1005293", "baby_back_ribs/1007102"]
    test = ["apple_pie/1011328", "baby_back_ribs/1035170"]
    lists = {"train": train, "test": test}
    files = within("images", named("", *(f"{name}.jpg" for name in [*train, *test])))
    for split, listed in lists.items():
        by_class = {c: [n for n in listed if n.startswith(c)] for c in ("apple_pie", "baby_back_ribs")}
        files |= {f"meta/{split}.txt": text(*listed), f"meta/{split}.json": json.dumps(by_class).encode()}
    files |= {
        "meta/classes.txt": text("apple_pie", "baby_back_ribs"),
        "meta/labels.txt": text("Apple pie", "Baby back ribs"),
    }
    source = read(
        tmp_path, within("food-101", files | {"README.txt": b"Food-101", "license_agreement.txt": b"x"})
    )
    assert counts(source) == {
        "train": {"apple_pie": 2, "baby_back_ribs": 2},
        "val": {"apple_pie": 1, "baby_back_ribs": 1},
    }
    assert keys(source, "val") == [f"{name}.jpg" for name in test]


DOGS = ["n02085620-Chihuahua/n02085620_7", "n02085620-Chihuahua/n02085620_199"]
DOGS += ["n02085782-Japanese_spaniel/n02085782_2", "n02085782-Japanese_spaniel/n02085782_3"]


def cells(values: list[str]) -> np.ndarray:
    """A MATLAB cell array (N, 1)."""
    return np.array([[value] for value in values], dtype=object)


def matlab(**variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    return file.getvalue()


def dogs_list(names: list[str]) -> bytes:
    labels = np.array([[1.0 + (name > "n02085782")] for name in names])
    return matlab(
        file_list=cells([f"{name}.jpg" for name in names]), annotation_list=cells(names), labels=labels
    )


def test_stanford_dogs(tmp_path: Path) -> None:
    files = within("Images", named("", *(f"{name}.jpg" for name in DOGS)))
    files |= {f"Annotation/{name}": b"<annotation></annotation>" for name in DOGS}
    files |= {"file_list.mat": dogs_list(DOGS), "train_list.mat": dogs_list(DOGS[::2])}
    files |= {"test_list.mat": dogs_list(DOGS[1::2])}
    source = read(tmp_path, files)
    one_each = {"n02085620-Chihuahua": 1, "n02085782-Japanese_spaniel": 1}
    assert counts(source) == {"train": one_each, "val": one_each}
    assert keys(source, "val") == [f"{name}.jpg" for name in DOGS[1::2]]
    assert source.origins["train"].lists == ("train_list.mat",)


@pytest.mark.parametrize("content", [b"MATLAB 5.0 MAT-file", b"", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_a_matlab_list_that_cannot_be_read_is_noted(content: bytes, tmp_path: Path) -> None:
    files = within("Images", named("", *(f"{name}.jpg" for name in DOGS))) | {"train_list.mat": content}
    source = read(tmp_path, files)
    assert counts(source)["train"] == {"n02085620-Chihuahua": 2, "n02085782-Japanese_spaniel": 2}
    assert "train_list.mat may list splits, but its form is not read" in source.notes


def cars(names: list[str], labels: list[int]) -> np.ndarray:
    """`annotations` of the Cars devkit: a struct array (1, N); without classes if there are no labels."""
    kinds = [(name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")]
    kinds += [("class", object)] * bool(labels) + [("fname", object)]
    rows = [(39, 116, 569, 375, *labels[place : place + 1], name) for place, name in enumerate(names)]
    return np.array([rows], dtype=kinds)


def test_stanford_cars(tmp_path: Path) -> None:
    names = [f"0000{number}.jpg" for number in range(1, 5)]
    kinds = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012"]
    files = named("cars_train", *names) | named("cars_test", *names[:2])
    files["devkit/cars_train_annos.mat"] = matlab(annotations=cars(names, [2, 1, 2, 2]))
    files["devkit/cars_test_annos.mat"] = matlab(annotations=cars(names[:2], []))
    files["devkit/cars_meta.mat"] = matlab(class_names=np.array([kinds], dtype=object))
    files["devkit/README.txt"] = b"The Cars devkit"
    source = read(tmp_path / "unlabeled", files)
    assert counts(source) == {"train": {kinds[0]: 1, kinds[1]: 3}, "test": {"": 2}}
    assert source.origins["train"].class_list == "devkit/cars_meta.mat"
    files["devkit/cars_test_annos_withlabels.mat"] = matlab(annotations=cars(names[:2], [1, 2]))
    source = read(tmp_path / "labeled", files)
    assert counts(source)["val"] == {kinds[0]: 1, kinds[1]: 1}
    assert keys(source, "val") == [f"{kinds[0]}/00001.jpg", f"{kinds[1]}/00002.jpg"]


def test_flowers_102(tmp_path: Path) -> None:
    names = [f"image_0000{number}.jpg" for number in range(1, 8)]
    files = named("jpg", *names)
    files["imagelabels.mat"] = matlab(labels=np.array([[77, 3, 77, 3, 77, 3, 77]], np.uint8))
    splits = {"trnid": np.array([[5, 2]]), "valid": np.array([[1, 4]]), "tstid": np.array([[7, 6, 3]])}
    files["setid.mat"] = matlab(**splits)
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"3": 1, "77": 1}, "val": {"3": 1, "77": 1}, "test": {"3": 1, "77": 2}}
    assert keys(source, "test") == [
        "3/jpg/image_00006.jpg",
        "77/jpg/image_00003.jpg",
        "77/jpg/image_00007.jpg",
    ]
    assert source.origins["val"].lists == ("setid.mat",)


def test_lists_of_splits_by_name_in_one_matlab_file(tmp_path: Path) -> None:
    files = within("Images", named("", *(f"{name}.jpg" for name in DOGS)))
    lists = {"train_files": cells(DOGS[::2]), "test_files": cells(DOGS[1::2])}
    source = read(tmp_path, files | {"lists.mat": matlab(**lists)})
    one_each = {"n02085620-Chihuahua": 1, "n02085782-Japanese_spaniel": 1}
    assert counts(source) == {"train": one_each, "val": one_each}
    assert keys(source, "train") == [f"{name}.jpg" for name in DOGS[::2]]


def test_labels_by_number_need_numbered_photos(tmp_path: Path) -> None:
    files = named("jpg", "rose.jpg", "lily.jpg") | {"imagelabels.mat": matlab(labels=np.array([[1, 2]]))}
    assert "2 photos outside any class folder, without labels" in refusal(tmp_path, files)


def test_sun_397(tmp_path: Path) -> None:
    kinds = ["a/abbey", "a/apartment_building/outdoor", "b/badlands", "b/bakery/shop"]
    names = [f"{kind}/sun_{letter}.jpg" for kind in kinds for letter in "abc"]
    files = within("SUN397", named("", *names))
    files["SUN397/ClassName.txt"] = text(*(f"/{kind}" for kind in kinds))
    source = read(tmp_path / "all", files)
    classes = ["abbey", "apartment_building/outdoor", "badlands", "bakery/shop"]
    assert counts(source) == {"train": dict.fromkeys(classes, 3)}
    assert any("initials of the classes" in note for note in source.notes)
    assert counts(read(tmp_path / "one", files, SourceOptions(class_level=1))) == {"train": {"a": 6, "b": 6}}
    for split, letter in (("Training", "a"), ("Testing", "b")):
        files[f"{split}_01.txt"] = text(*(f"/{name}" for name in names if name.endswith(f"{letter}.jpg")))
    source = read(tmp_path / "listed", files)
    assert counts(source) == {split: dict.fromkeys(classes, 1) for split in ("train", "val")}


def test_classes_below_their_initials(tmp_path: Path) -> None:
    source = read(tmp_path / "flat", photos("a/Apple", "a/apricot", "b/banana"))
    assert counts(source) == {"train": {"Apple": 3, "apricot": 3, "banana": 3}}
    deeper = photos("a/apple/red", "a/apple/green", "b/banana/ripe")
    assert "--class-level" in refusal(tmp_path / "deep", deeper)


def celeba(rows: list[str], header: str) -> make.Photos:
    files = named("img_align_celeba", *(f"00000{number}.jpg" for number in range(1, len(rows) + 1)))
    lines = (f"00000{number}.jpg{row}" for number, row in enumerate(rows, 1))
    return files | {"list_attr_celeba.csv": text(header, *lines) if header else text(*lines)}


def test_celeba_has_no_classes_until_an_attribute_is_chosen(tmp_path: Path) -> None:
    files = celeba([",-1,1,-1", ",1,1,-1", ",-1,-1,1", ",1,-1,1"], "image_id,Bald,Male,Young")
    message = refusal(tmp_path / "refused", files)
    assert "4 photos outside any class folder" in message
    assert "list_attr_celeba.csv: none of its columns Bald, Male, Young is known to be the label" in message
    assert "--label-column" in message
    source = read(tmp_path / "chosen", files, SourceOptions(label_column="Male"))
    assert counts(source) == {"train": {"-1": 2, "1": 2}}
    message = refusal(tmp_path / "bare", celeba([" -1 1 -1", " 1 1 -1", " -1 -1 1"], ""))
    assert "3 columns of flags" in message


def test_inaturalist_2017_and_2018(tmp_path: Path) -> None:
    def document(names: list[str], kinds: dict[str, int]) -> bytes:
        images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
        notes = [
            {"id": n, "image_id": n, "category_id": kinds[name.split("/")[2]]} for n, name in enumerate(names)
        ]
        categories = [{"id": number, "name": kind} for kind, number in kinds.items()]
        return json.dumps({"images": images, "annotations": notes, "categories": categories}).encode()

    sets = {
        "train_val_images": ("2017", {"Abudefduf saxatilis": 0, "Ardea alba": 1, "Branta canadensis": 2}),
        "train_val2018": ("2018", {"2820": 2820, "2958": 2958, "3000": 3000}),
    }
    for folder, (year, kinds) in sets.items():
        groups = dict(zip(kinds, ("Actinopterygii", "Aves", "Aves"), strict=True))
        names = [f"{folder}/{groups[kind]}/{kind}/{n}_{kinds[kind]}.jpg" for kind in kinds for n in range(4)]
        val = [name for name in names if name.rpartition("/")[2].startswith("3")]
        files = named("", *names) | {f"val{year}.json": document(val, kinds)}
        files[f"train{year}.json"] = document([name for name in names if name not in val], kinds)
        source = read(tmp_path / year, files)
        assert {split: sum(found.values()) for split, found in counts(source).items()} == {
            "train": 9,
            "val": 3,
        }
        assert [each.wnid for each in source.classes] == list(kinds)
        assert source.origins["train"].class_level == 2


def test_oxford_pets(tmp_path: Path) -> None:
    stems = ["Abyssinian_1", "Abyssinian_2", "Bengal_1", "Bengal_2", "beagle_1", "beagle_2"]
    rows = [
        f"{stem} {number // 2 + 1} {1 + (number > 3)} {1 + number // 2 % 2}"
        for number, stem in enumerate(stems)
    ]
    files = within("images", named("", *(f"{stem}.jpg" for stem in stems)))
    files |= within("annotations/trimaps", named("", *(f"{stem}.png" for stem in stems)))
    files |= {f"annotations/trimaps/._{stem}.png": b"x" for stem in stems}
    files |= {"annotations/list.txt": text("#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids", *rows)}
    files |= {"annotations/trainval.txt": text(*rows[::2]), "annotations/test.txt": text(*rows[1::2])}
    files |= {"images/Abyssinian_1.mat": b"MATLAB 5.0 MAT-file", "annotations/README": b"x"}
    source = read(tmp_path, files)
    one_of_each = {"Abyssinian": 1, "Bengal": 1, "beagle": 1}
    assert counts(source) == {"train": one_of_each, "val": one_of_each}
    assert source.origins["train"].class_list == "the photos' names"
    assert keys(source, "train")[0].endswith("Abyssinian_1.jpg")
    assert source.origins["train"].label_column == "2"


def test_inaturalist_2019(tmp_path: Path) -> None:
    names = [
        f"train_val2019/{kind}/{number}/{number}{each}.jpg"
        for kind, number in (("Birds", 202), ("Birds", 203), ("Plants", 484))
        for each in "abcd"
    ]

    def document(chosen: list[str]) -> bytes:
        images = [{"id": number, "file_name": name, "license": 0} for number, name in enumerate(chosen)]
        kinds = [{"id": n, "name": str(n), "supercategory": "Birds"} for n in (202, 203, 484)]
        parts = {"info": {"year": 2019}, "images": images, "licenses": [], "categories": kinds}
        if chosen[0].startswith("train"):
            labels = [int(name.split("/")[2]) for name in chosen]
            notes = [{"id": n, "image_id": n, "category_id": label} for n, label in enumerate(labels)]
            parts["annotations"] = notes
        return json.dumps(parts).encode()

    files = named("", *names, "test2019/0a.jpg", "test2019/0b.jpg")
    files |= {"train2019.json": document([n for n in names if n[-5] != "d"])}
    files |= {"val2019.json": document([n for n in names if n[-5] == "d"])}
    files |= {"test2019.json": document(["test2019/0a.jpg", "test2019/0b.jpg"])}
    source = read(tmp_path, files)
    assert counts(source) == {
        "train": {"202": 3, "203": 3, "484": 3},
        "val": {"202": 1, "203": 1, "484": 1},
        "test": {"": 2},
    }
    assert source.origins["train"].class_level == 2


def test_inaturalist_2021(tmp_path: Path) -> None:
    kinds = ["00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"]
    kinds.append("09999_Plantae_Tracheophyta_Polypodiopsida_Polypodiales_Woodsiaceae_Woodsia_ilvensis")
    files = photos(*(f"{split}/{kind}" for split in ("train", "val") for kind in kinds))
    images = [
        {"id": n, "file_name": name, "width": 12}
        for n, name in enumerate(n for n in files if n.startswith("train"))
    ]
    notes = [{"id": n, "image_id": n, "category_id": n // 3} for n in range(6)]
    categories = [{"id": n, "name": kind[6:]} for n, kind in enumerate(kinds)]
    document = {"images": images, "annotations": notes, "categories": categories}
    source = read(tmp_path, files | {"train.json": json.dumps(document).encode()})
    assert counts(source) == {split: dict.fromkeys(kinds, 3) for split in ("train", "val")}


def test_eurosat(tmp_path: Path) -> None:
    kinds = ("AnnualCrop", "Forest", "SeaLake")
    names = [f"{kind}/{kind}_{number}.jpg" for kind in kinds for number in range(1, 4)]
    assert counts(read(tmp_path / "zip", within("2750", named("", *names)))) == {
        "train": dict.fromkeys(kinds, 3)
    }
    files = named("", *names) | {
        "label_map.json": json.dumps({kind: n for n, kind in enumerate(kinds)}).encode()
    }
    for split, end in (("train", "1.jpg"), ("validation", "2.jpg"), ("test", "3.jpg")):
        chosen = [name for name in names if name.endswith(end)]
        rows = [
            f"{n},{name},{kinds.index(name.split('/')[0])},{name.split('/')[0]}"
            for n, name in enumerate(chosen)
        ]
        files[f"{split}.csv"] = text(",Filename,Label,ClassName", *rows)
    source = read(tmp_path / "kaggle", within("EuroSAT", files))
    assert counts(source) == {split: dict.fromkeys(kinds, 1) for split in ("train", "val", "test")}


def test_gtsrb(tmp_path: Path) -> None:
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2"
    files: make.Photos = {}
    for label in ("00000", "00001", "00042"):
        names = [f"00000_0000{number}.ppm" for number in range(3)]
        rows = [f"{name};29;30;5;6;24;25;{int(label)}" for name in names]
        folder = f"GTSRB/Final_Training/Images/{label}"
        files |= {f"{folder}/{name}": make.photo(int(label), kind="PPM") for name in names}
        files[f"{folder}/GT-{label}.csv"] = text(f"{header};ClassId", *rows)
    test = [f"0000{number}.ppm" for number in range(3)]
    files |= {f"GTSRB/Final_Test/Images/{name}": make.photo(9, kind="PPM") for name in test}
    rows = [f"{name};53;54;6;5;48;49" for name in test]
    files["GTSRB/Final_Test/Images/GT-final_test.test.csv"] = text(header, *rows)
    files["GTSRB/Readme-Images.txt"] = b"German traffic signs"
    assert counts(read(tmp_path / "without", files))["test"] == {"": 3}
    files["GT-final_test.csv"] = text(
        f"{header};ClassId", *(f"{row};{n}" for row, n in zip(rows, (42, 0, 1), strict=True))
    )
    source = read(tmp_path / "with", files)
    assert counts(source) == {
        "train": {"00000": 3, "00001": 3, "00042": 3},
        "val": {"00000": 1, "00001": 1, "00042": 1},
    }
    assert keys(source, "val") == ["00000/00001.ppm", "00001/00002.ppm", "00042/00000.ppm"]


def test_gtsrb_from_kaggle(tmp_path: Path) -> None:
    names = [f"Train/{label}/{label:05d}_00000_0000{n}.png" for label in (0, 1, 10) for n in range(2)]
    test = [f"Test/0000{number}.png" for number in range(3)]
    meta = [f"Meta/{label}.png" for label in (0, 1, 10)]
    header = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
    files = named("", *names, *test, *meta)
    files["Train.csv"] = text(header, *(f"27,26,5,5,22,20,{name.split('/')[1]},{name}" for name in names))
    files["Test.csv"] = text(
        header, *(f"53,54,6,5,48,49,{label},{name}" for label, name in zip((10, 0, 1), test, strict=True))
    )
    files["Meta.csv"] = text(
        "Path,ClassId,ShapeId,ColorId,SignId",
        "Meta/0.png,0,1,0,1.1",
        "Meta/1.png,1,1,0,1.2",
        "Meta/10.png,10,1,0,1.3",
    )
    source = read(tmp_path, files)
    assert counts(source) == {"train": {"0": 2, "1": 2, "10": 2}, "val": {"0": 1, "1": 1, "10": 1}}
    assert source.left_out[0].what == "Meta/ (3 photos)"


def test_places365(tmp_path: Path) -> None:
    kinds = ["/a/airfield", "/a/alcove", "/c/church/indoor", "/c/church/outdoor"]
    train = [f"{kind}/0000000{number}.jpg" for kind in kinds for number in range(1, 4)]
    val = [f"Places365_val_0000000{number}.jpg" for number in range(1, 5)]
    test = [f"Places365_test_0000000{number}.jpg" for number in range(1, 3)]
    files = named(
        "",
        *(f"data_256{name}" for name in train),
        *(f"val_256/{n}" for n in val),
        *(f"test_256/{n}" for n in test),
    )
    files["categories_places365.txt"] = text(*(f"{kind} {number}" for number, kind in enumerate(kinds)))
    files["places365_train_standard.txt"] = text(
        *(f"{name} {kinds.index(name.rpartition('/')[0])}" for name in train)
    )
    files["places365_val.txt"] = text(*(f"{name} {3 - number}" for number, name in enumerate(val)))
    files["places365_test.txt"] = text(*test)
    source = read(tmp_path, files)
    names = [kind.strip("/") for kind in kinds]
    assert counts(source) == {
        "train": dict.fromkeys(names, 3),
        "val": dict.fromkeys(names, 1),
        "test": {"": 2},
    }
    assert source.splits["val"][0].image == files["val_256/Places365_val_00000004.jpg"]
    assert "categories_places365.txt" not in source.strays


def test_places365_in_class_folders(tmp_path: Path) -> None:
    files = photos(
        *(
            f"places365_standard/{split}/{name}"
            for split in ("train", "val")
            for name in ("airfield", "alcove")
        )
    )
    for split in ("train", "val"):
        names = [name.removeprefix("places365_standard/") for name in files if f"/{split}/" in name]
        files[f"places365_standard/{split}.txt"] = text(*names)
    assert counts(read(tmp_path, files)) == {
        split: {"airfield": 3, "alcove": 3} for split in ("train", "val")
    }


@pytest.mark.parametrize(
    ("root", "clutter", "other"),
    [
        ("caltech-101/101_ObjectCategories", "BACKGROUND_Google", "accordion"),
        ("256_ObjectCategories", "257.clutter", "001.ak47"),
    ],
)
def test_caltech_names_its_class_of_clutter(root: str, clutter: str, other: str, tmp_path: Path) -> None:
    source = read(tmp_path, photos(f"{root}/{clutter}", f"{root}/{other}"))
    assert counts(source) == {"train": {clutter: 3, other: 3}}
    assert [note for note in source.notes if clutter in note]


def test_imagewoof(tmp_path: Path) -> None:
    names = [
        f"{split}/{wnid}/{wnid}_{n}.JPEG"
        for split in ("train", "val")
        for wnid in make.WNIDS
        for n in range(2)
    ]
    rows = [f"{name},{name.split('/')[1]},{make.WNIDS[0]},{name.startswith('val')}" for name in names]
    files = named("", *names) | {
        "noisy_imagewoof.csv": text("path,noisy_labels_0,noisy_labels_1,is_valid", *rows)
    }
    source = read(tmp_path, within("imagewoof2-160", files))
    assert counts(source) == {split: dict.fromkeys(make.WNIDS, 2) for split in ("train", "val")}
    assert source.strays == ["imagewoof2-160/noisy_imagewoof.csv"]


def test_emnist(tmp_path: Path) -> None:
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    files: make.Photos = {}
    for name in ("letters", "digits"):
        for split in ("train", "test"):
            start = f"gzip/emnist-{name}-{split}"
            files[f"{start}-images-idx3-ubyte.gz"] = gzip.compress(make.idx_bytes(pixels))
            files[f"{start}-labels-idx1-ubyte.gz"] = gzip.compress(make.idx_bytes(np.array([2, 1], np.uint8)))
    files["gzip/emnist-letters-mapping.txt"] = text("1 65 97", "2 66 98")
    message = refusal(tmp_path, files)
    assert "gzip/emnist-digits, gzip/emnist-letters: choose one with --configuration" in message
    source = open_source(tmp_path, 0, SourceOptions(configuration="letters"))
    assert [(each.wnid, each.name) for each in source.classes] == [("1", "Aa"), ("2", "Bb")]
    assert counts(source) == {"train": {"1": 1, "2": 1}, "val": {"1": 1, "2": 1}}
    np.testing.assert_array_equal(decode(source.splits["val"][0].image)[..., 0], pixels[0].T)


def test_dtd_has_ten_splits_of_which_one_is_chosen(tmp_path: Path) -> None:
    names = [f"{kind}/{kind}_000{n}.jpg" for kind in ("banded", "dotted") for n in range(6)]
    files = within("dtd/images", named("", *names))
    for number in (1, 2):
        for place, split in enumerate(("train", "val", "test")):
            files[f"dtd/labels/{split}{number}.txt"] = text(*names[(place + number) % 3 :: 3])
    assert "choose one list for each split with --splits train=FILE,val=FILE,test=FILE" in refusal(
        tmp_path, files
    )
    chosen = {split: f"dtd/labels/{split}2.txt" for split in ("train", "val", "test")}
    source = read(tmp_path, files, SourceOptions(splits=chosen))
    assert counts(source) == {split: {"banded": 2, "dotted": 2} for split in ("train", "val", "test")}
    assert keys(source, "train") == names[2::3]


@pytest.mark.parametrize(
    "code", ["x", "-1", "99999999999", 5000 * "9"], ids=["word", "negative", "large", "long"]
)
def test_codes_of_emnist_that_are_no_characters_are_refused(code: str, tmp_path: Path) -> None:
    files: make.Photos = {"emnist-letters-mapping.txt": text("1 65 97", f"2 {code}")}
    for split in ("train", "test"):
        pixels, labels = make.idx_arrays(4, seed=1)
        files[f"emnist-letters-{split}-images-idx3-ubyte"] = make.idx_bytes(pixels)
        files[f"emnist-letters-{split}-labels-idx1-ubyte"] = make.idx_bytes(labels)
    with pytest.raises(DataError, match=r"emnist-letters-mapping\.txt, line 2: expected a label and codes"):
        open_source(make.write(tmp_path, files))


class TestSizesOfMatlab:
    """Lists whose sizes are refused before they are in memory."""

    def test_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = matlab(labels=np.array([[1, 2, 1, 2]]))
        assert read_vectors(data, "labels.mat") == {"labels": [1, 2, 1, 2]}
        monkeypatch.setattr(matlab_files, "MAX_LISTED", 3)
        with pytest.raises(DataError, match=r"labels\.mat: labels has 4 values, more than 3"):
            read_vectors(data, "labels.mat")

    def test_decompressed_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nested = np.empty(2, object)
        nested[:] = [np.zeros(10**6), np.zeros(10**6)]
        data = matlab(labels=nested)
        assert len(data) < 10**5
        monkeypatch.setattr(matlab_files, "_MAX_UNPACKED_BYTES", 10**6)
        monkeypatch.setattr("scipy.io.loadmat", None)
        with pytest.raises(DataError, match=r"labels\.mat has more than 1,000,000 bytes when decompressed"):
            read_vectors(data, "labels.mat")

    def test_other_versions(self) -> None:
        file = io.BytesIO()
        savemat(file, {"labels": np.array([[1, 2, 3]])}, format="4")
        assert read_vectors(file.getvalue(), "labels.mat") == {"labels": [1, 2, 3]}
        header = (
            b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(384) + b"\x89HDF\r\n\x1a\n" + bytes(600)
        )
        with pytest.raises(DataError, match=r"is of MATLAB 7\.3, which is not read"):
            read_vectors(header, "labels.mat")
