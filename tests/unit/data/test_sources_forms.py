"""Every raw form of the same photos gives the same classes, labels, keys and bytes."""

from __future__ import annotations

import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from unit.data import source_makers as make

from alexnet.data.classes import NO_LABEL
from alexnet.data.decode import decode
from alexnet.data.sources import Box, Source, open_source

Maker = Callable[[Path], Path]
LABELS: dict[str, bytes] = {
    "val.txt": make.label_lines(" "),
    "val.csv": make.label_lines(",", header="filename,label"),
    "val_labels.tsv": make.label_lines("\t"),
    "labels.txt": make.label_lines(" ", numbers=True),
    "validation_synsets.txt": "\n".join(make.val_wnids().values()).encode(),
    "LOC_val_solution.csv": make.kaggle_solution(),
}


def _tars(folder: Path, extra: make.Photos) -> Path:
    return make.write(make.ilsvrc_tars(folder), extra)


def _tar_of(folder: Path, files: make.Photos) -> Path:
    return make.write(folder, {"photos.tar": make.tar_bytes(files)}) / "photos.tar"


def _in_folder(name: str, files: make.Photos) -> make.Photos:
    return {f"{name}/{path}": data for path, data in files.items()}


FORMS: dict[str, Maker] = {
    "tars, packed kit": lambda f: _tars(f, {"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()}),
    "tars, unpacked kit": lambda f: _tars(f, _in_folder("ILSVRC2012_devkit_t12", make.devkit_files())),
    "tars, kit's data": lambda f: _tars(f, make.devkit_files()),
    "tars, Kaggle's CSV": lambda f: _tars(f, {"LOC_val_solution.csv": make.kaggle_solution()}),
    "tars, label file": lambda f: _tars(f, {"val.txt": make.label_lines(" ")}),
    "Kaggle": make.kaggle,
    "folders": lambda f: make.write(f, make.folder_files()),
    "folders within": lambda f: make.write(f, _in_folder("imagenette2/full", make.folder_files())),
    "folders, Train and Validation": lambda f: make.write(
        f,
        {
            k.replace("train/", "Train/").replace("val/", "Validation/"): v
            for k, v in make.folder_files().items()
        },
    ),
    "folders, train and test": lambda f: make.write(
        f,
        {
            k.replace("val/", "test/", 1) if k.startswith("val/") else k: v
            for k, v in make.folder_files().items()
        },
    ),
    "flat val, kit": lambda f: make.write(
        f, make.flat_val_files() | {"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()}
    ),
    "tar of folders": lambda f: _tar_of(f, make.folder_files()),
    "tar of ./folders": lambda f: _tar_of(f, _in_folder(".", make.folder_files())),
    "tar of Kaggle": lambda f: _tar_of(f, _read_all(make.kaggle(f / "unpacked"))),
    "tar of flat val": lambda f: _tar_of(f, make.flat_val_files() | {"val.txt": make.label_lines(" ")}),
    "Tiny ImageNet": lambda f: make.write(f, make.tiny_imagenet_files()),
    "tar of Tiny ImageNet": lambda f: _tar_of(f, make.tiny_imagenet_files()),
    "parquet": make.parquet,
    **{
        f"flat val, {place}{name}": lambda f, place=place, name=name, text=text: make.write(
            f, make.flat_val_files() | {f"{place}{name}": text}
        )
        for place in ("", "val/")
        for name, text in LABELS.items()
    },
}


def _read_all(folder: Path) -> make.Photos:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def _snapshot(path: Path) -> dict[str, tuple[int, int]]:
    files = [file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


def _content(source: Source, split: str) -> list[tuple[str, int, bytes]]:
    photos = source.splits[split]
    examples = [photos[index] for index in range(len(photos))]
    assert [example.label for example in examples] == photos.labels.tolist()
    assert [example.key for example in examples] == [photos.key(index) for index in range(len(photos))]
    keys = [example.key.replace("/images/", "/") for example in examples]
    return [(key, example.label, example.image) for key, example in zip(keys, examples, strict=True)]


def _expected(photos: make.Photos) -> list[tuple[str, int, bytes]]:
    return [(key, make.WNIDS.index(key.split("/")[0]), data) for key, data in photos.items()]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_photos_and_is_not_changed(form: str, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path)
    before = _snapshot(tmp_path)
    source = open_source(path)
    assert [c.wnid for c in source.classes] == list(make.WNIDS)
    assert [c.name for c in source.classes] == ["tench", "goldfish", "crane (bird)"]
    test = ["test"] if form in ("Kaggle", "tar of Kaggle") else []
    assert list(source.splits) == ["train", "val", *test]
    assert source.path == path or source.form == "Hugging Face parquet"
    assert not source.settings.exif
    assert source.splits["train"].labels.dtype == np.int32
    assert _content(source, "train") == _expected(make.train_photos())
    val = _content(source, "val")
    if form == "parquet":  # its names carry the WNID
        val = [(key[:-15] + key[-5:], label, data) for key, label, data in val]
    assert val == _expected(make.val_photos())
    assert _snapshot(tmp_path) == before


@pytest.mark.parametrize("form", ["tars, packed kit", "folders", "tar of Kaggle", "parquet"])
def test_sources_survive_pickling(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    first = _content(source, "train")  # open files and caches now exist, and must not be pickled
    assert _content(pickle.loads(pickle.dumps(source)), "train") == first


@pytest.mark.parametrize(
    ("form", "strays"),
    [
        ("tars, packed kit", []),
        ("folders", []),
        ("flat val, kit", []),
        ("flat val, val.txt", []),
        ("Kaggle", []),
        ("tar of Tiny ImageNet", []),
        ("parquet", ["test: 1 photo without labels"]),
    ],
)
def test_files_that_belong_to_a_form_are_not_strays(form: str, strays: list[str], tmp_path: Path) -> None:
    assert open_source(FORMS[form](tmp_path)).strays == strays


@pytest.mark.parametrize("form", ["Kaggle", "tar of Kaggle"])
def test_kaggle_boxes(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    train, val = source.splits["train"], source.splits["val"]
    assert train[0].boxes == (Box(0, 3 / 12, 2 / 8, 9 / 12, 1.0),)
    assert train[1].boxes == ()
    first = next(index for index in range(len(val)) if "00000001" in val.key(index))
    assert val[first].boxes == (Box(2, 0.0, 0.0, 1.0, 0.5),)


@pytest.mark.parametrize("form", ["Tiny ImageNet", "tar of Tiny ImageNet"])
def test_tiny_imagenet_boxes(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    for split, corners in (("train", (3 / 12, 2 / 8, 9 / 12, 1.0)), ("val", (0.0, 0.0, 1.0, 0.5))):
        photos = source.splits[split]
        for index in range(len(photos)):
            assert photos[index].boxes == (Box(photos[index].label, *corners),)


@pytest.mark.parametrize("compress", [False, True])
def test_idx(compress: bool, tmp_path: Path) -> None:
    source = open_source(make.idx(tmp_path, compress))
    assert [(c.wnid, c.name) for c in source.classes] == [("0", "0"), ("1", "1"), ("2", "2")]
    assert list(source.splits) == ["train", "val"]
    for split, count in (("train", 9), ("val", 4)):
        pixels, labels = make.idx_arrays(count, seed=count)
        photos = source.splits[split]
        assert photos.labels.tolist() == labels.tolist()
        for index in range(count):
            decoded = decode(photos[index].image)
            np.testing.assert_array_equal(decoded, np.repeat(pixels[index][:, :, None], 3, axis=2))
    assert source.splits["val"].key(3) == "val/00003"


def test_flat_folder_of_photos_named_by_wnid(tmp_path: Path) -> None:
    names = ["n02012849_crane.JPEG", "n01440764_tench.JPEG", "ILSVRC2012_val_00000007_n01440764.JPEG"]
    make.write(tmp_path, {name: make.photo(number) for number, name in enumerate(names)})
    source = open_source(tmp_path)
    assert [c.wnid for c in source.classes] == ["n01440764", "n02012849"]
    assert _content(source, "train") == [
        (f"n01440764/{names[2]}", 0, make.photo(2)),
        (f"n01440764/{names[1]}", 0, make.photo(1)),
        (f"n02012849/{names[0]}", 1, make.photo(0)),
    ]


def test_custom_folders_keep_their_names_and_sort_numerically(tmp_path: Path) -> None:
    for name in ("10", "9", "100"):
        make.write(tmp_path, {f"{name}/sub/a.png": make.photo(kind="PNG"), f"{name}/b.JPG": make.photo()})
    source = open_source(tmp_path, val_fraction=0)
    assert [(c.wnid, c.name) for c in source.classes] == [("9", "9"), ("10", "10"), ("100", "100")]
    keys = [source.splits["train"].key(index) for index in range(6)]
    assert keys == ["9/b.JPG", "9/sub/a.png", "10/b.JPG", "10/sub/a.png", "100/b.JPG", "100/sub/a.png"]


def test_one_parquet_file_and_labels_that_are_words(tmp_path: Path) -> None:
    photos = {"a": make.photo(1), "b": make.photo(2)}
    make.write_parquet(tmp_path / "pets.parquet", photos, [1, 0], ("cat", "dog"))
    source = open_source(tmp_path / "pets.parquet", val_fraction=0)
    assert [c.wnid for c in source.classes] == ["cat", "dog"]
    assert _content(source, "train") == [("dog/a", 1, photos["a"]), ("cat/b", 0, photos["b"])]


def test_parquet_with_imagenets_class_names_gets_wnids(tmp_path: Path) -> None:
    from alexnet.data.classes import imagenet_classes

    names = tuple(c.name.partition(" (")[0] + ", synonym" for c in imagenet_classes())
    make.write_parquet(tmp_path / "train.parquet", {"x.jpg": make.photo(1)}, [999], names)
    assert open_source(tmp_path).classes == imagenet_classes()


def test_photos_with_the_same_name_get_keys_by_row(tmp_path: Path) -> None:
    make.write_parquet(tmp_path / "one.parquet", {"same": make.photo(1)}, [0], ("cat", "dog"))
    make.write_parquet(tmp_path / "two.parquet", {"same": make.photo(2)}, [1], ("cat", "dog"))
    train = open_source(tmp_path, val_fraction=0).splits["train"]
    assert [train.key(0), train.key(1)] == ["train/00000000", "train/00000001"]
    assert train[1].image == make.photo(2)


def test_one_archive_alone_is_enough(tmp_path: Path) -> None:
    both = make.ilsvrc_tars(tmp_path / "both")
    train = make.write(
        tmp_path / "train", {"ILSVRC2012_img_train.tar": (both / "ILSVRC2012_img_train.tar").read_bytes()}
    )
    assert list(open_source(train, val_fraction=0).splits) == ["train"]
    val_tar = {"ILSVRC2012_img_val.tar": (both / "ILSVRC2012_img_val.tar").read_bytes()}
    for number, labels in enumerate(
        ({"d.tar.gz": make.devkit_archive()}, {"val.txt": make.label_lines(" ")})
    ):
        labels = {name.replace("d.tar", "ILSVRC2012_devkit_t12.tar"): data for name, data in labels.items()}
        source = open_source(make.write(tmp_path / f"val{number}", val_tar | labels))
        assert list(source.splits) == ["val"]
        assert _content(source, "val") == _expected(make.val_photos())


def test_the_archives_of_2010_have_a_test_set_too(tmp_path: Path) -> None:
    source = open_source(make.ilsvrc_2010(tmp_path))
    assert source.form == "official ILSVRC-2010 tars"
    assert _content(source, "train") == _expected(make.train_photos())
    assert _content(source, "val") == _content(source, "test") == _expected(make.val_photos())
    assert source.strays == []
    with tarfile.open(tmp_path / "ILSVRC2010_devkit-1.0.tar.gz") as kit:
        kit.extractall(tmp_path, filter="data")
    (tmp_path / "ILSVRC2010_devkit-1.0.tar.gz").unlink()
    unpacked = open_source(tmp_path)
    assert _content(unpacked, "test") == _expected(make.val_photos())
    assert unpacked.strays == []
    (tmp_path / "ILSVRC2010_test_ground_truth.txt").unlink()
    source = open_source(tmp_path)
    assert set(source.splits["test"].labels.tolist()) == {NO_LABEL}
    assert source.strays == []


def test_the_training_tar_itself_is_a_source(tmp_path: Path) -> None:
    archive = make.ilsvrc_tars(tmp_path / "both") / "ILSVRC2012_img_train.tar"
    archive = archive.rename(tmp_path / "renamed.tar")
    source = open_source(archive, val_fraction=0)
    assert _content(source, "train") == _expected(make.train_photos())
    assert source.form == "official ILSVRC-2012 training tar"


def test_another_folder_among_wnids_is_left_out_and_not_a_class(tmp_path: Path) -> None:
    files = make.train_photos() | {"duplicates of n01440764/a.JPEG": make.photo(1)}
    source = open_source(make.write(tmp_path, files), val_fraction=0)
    assert [each.wnid for each in source.classes] == list(make.WNIDS)
    assert [each.what for each in source.left_out] == ["duplicates of n01440764/ (1 photo)"]
    assert _content(source, "train") == _expected(make.train_photos())


def test_exif_is_applied_to_custom_photos_and_not_to_imagenet(tmp_path: Path) -> None:
    own = {"cat/a.jpg": make.photo(1), "dog/b.jpg": make.photo(2)}
    assert open_source(make.write(tmp_path / "own", own)).settings.exif
    assert open_source(make.write(tmp_path / "split", _in_folder("train", own))).settings.exif
    assert not open_source(make.write(tmp_path / "imagenet", make.train_photos())).settings.exif
    mixed = own | {"n01440764/a.jpg": make.photo(3)}
    assert open_source(make.write(tmp_path / "mixed", mixed)).settings.exif


def test_a_link_to_a_folder_is_followed_but_cycles_are_not(tmp_path: Path) -> None:
    make.write(tmp_path / "elsewhere", {"a.jpg": make.photo(1)})
    make.write(tmp_path / "photos", {"dog/b.jpg": make.photo(2)})
    (tmp_path / "photos/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/dog/again").symlink_to(tmp_path / "photos")
    source = open_source(tmp_path / "photos", val_fraction=0)
    assert _content(source, "train") == [("cat/a.jpg", 0, make.photo(1)), ("dog/b.jpg", 1, make.photo(2))]
    assert source.strays == ["dog/again/ (empty)"]
