"""Synthetic data sets: exact layouts, equal bytes for equal seeds, a problem that colors do not solve."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from scipy.io import loadmat

from alexnet.data.synthetic import (
    SHAPES,
    TEXTURES,
    UNUSUAL_KINDS,
    draw_photo,
    ilsvrc_ids,
    synthesize,
    synthetic_classes,
)
from alexnet.errors import CommandError, WorkError

CLASSES, TRAIN_PER_CLASS, VAL_PER_CLASS = 5, 3, 2


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ilsvrc") / "made-up"
    synthesize(folder, classes=CLASSES, train_per_class=TRAIN_PER_CLASS, val_per_class=VAL_PER_CLASS, seed=3)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def kit(folder: Path) -> dict[str, bytes]:
    return members((folder / "ILSVRC2012_devkit_t12.tar.gz").read_bytes())


def test_the_ilsvrc_layout_holds_the_published_files_and_no_others(ilsvrc: Path) -> None:
    assert sorted(path.name for path in ilsvrc.iterdir()) == [
        "ILSVRC2012_devkit_t12.tar.gz",
        "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar",
    ]
    classes = members((ilsvrc / "ILSVRC2012_img_train.tar").read_bytes())
    assert list(classes) == [f"{made_up.wnid}.tar" for made_up in synthetic_classes(CLASSES)]
    for name, content in classes.items():
        wnid = name.removesuffix(".tar")
        photos = members(content)
        assert list(photos) == [f"{wnid}_{number}.JPEG" for number in range(1, TRAIN_PER_CLASS + 1)]
        assert all(Image.open(io.BytesIO(photo)).format == "JPEG" for photo in photos.values())
    val = members((ilsvrc / "ILSVRC2012_img_val.tar").read_bytes())
    assert list(val) == [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, CLASSES * VAL_PER_CLASS + 1)]


def test_the_ground_truth_names_the_class_of_each_validation_photo(ilsvrc: Path, tmp_path: Path) -> None:
    """The folder layout has the same photos in class folders: the devkit must give the same pairs."""
    synthesize(
        tmp_path,
        classes=CLASSES,
        train_per_class=TRAIN_PER_CLASS,
        val_per_class=VAL_PER_CLASS,
        layout="folder",
        seed=3,
    )
    shown = {path.read_bytes(): path.parent.name for path in (tmp_path / "val").rglob("*.jpg")}
    files = kit(ilsvrc)
    synsets = loadmat(io.BytesIO(files["ILSVRC2012_devkit_t12/data/meta.mat"]), squeeze_me=True)["synsets"]
    words = {int(row["ILSVRC2012_ID"]): str(row["words"]) for row in synsets}
    truth = files["ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"].split()
    val = members((ilsvrc / "ILSVRC2012_img_val.tar").read_bytes())
    named = {photo: words[int(number)] for photo, number in zip(val.values(), truth, strict=True)}
    assert named == shown
    assert [int(number) for number in truth] != sorted(int(number) for number in truth)


def test_meta_mat_has_the_fields_and_order_of_the_real_one(ilsvrc: Path) -> None:
    meta = kit(ilsvrc)["ILSVRC2012_devkit_t12/data/meta.mat"]
    synsets = loadmat(io.BytesIO(meta))["synsets"]
    assert synsets.shape == (CLASSES + 1, 1)
    assert synsets.dtype.names == (
        "ILSVRC2012_ID",
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
        "wordnet_height",
        "num_train_images",
    )
    rows = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    assert [int(row["ILSVRC2012_ID"]) for row in rows] == list(range(1, CLASSES + 2))
    assert [int(row["num_children"]) for row in rows] == [0] * CLASSES + [CLASSES]
    assert [int(row["num_train_images"]) for row in rows] == [TRAIN_PER_CLASS] * CLASSES + [0]
    assert list(rows[-1]["children"]) == list(range(1, CLASSES + 1))
    wnids = [str(row["WNID"]) for row in rows[:-1]]
    assert sorted(wnids) == [made_up.wnid for made_up in synthetic_classes(CLASSES)]
    assert wnids != sorted(wnids)


@pytest.mark.parametrize("count", [2, 3, 10, 100])
def test_ilsvrc_ids_are_complete_but_not_in_label_order(count: int) -> None:
    ids = ilsvrc_ids(count)
    assert sorted(ids) == list(range(1, count + 1))
    assert all(number != label + 1 for label, number in enumerate(ids))


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_workers(ilsvrc: Path, tmp_path: Path) -> None:
    synthesize(
        tmp_path / "again",
        classes=CLASSES,
        train_per_class=TRAIN_PER_CLASS,
        val_per_class=VAL_PER_CLASS,
        seed=3,
        workers=1,
    )
    synthesize(
        tmp_path / "other",
        classes=CLASSES,
        train_per_class=TRAIN_PER_CLASS,
        val_per_class=VAL_PER_CLASS,
        seed=4,
    )
    assert files_of(tmp_path / "again") == files_of(ilsvrc)
    train = "ILSVRC2012_img_train.tar"
    assert files_of(tmp_path / "other")[train] != files_of(ilsvrc)[train]
    # The date at the start of a gzip file: without it, files made a second apart are equal too.
    assert (ilsvrc / "ILSVRC2012_devkit_t12.tar.gz").read_bytes()[4:8] == bytes(4)
    assert b"Created on" not in kit(ilsvrc)["ILSVRC2012_devkit_t12/data/meta.mat"]


def test_test_photos_are_added_and_unlabeled(ilsvrc: Path, tmp_path: Path) -> None:
    counts: list[int] = []
    synthesize(
        tmp_path,
        classes=CLASSES,
        train_per_class=TRAIN_PER_CLASS,
        val_per_class=VAL_PER_CLASS,
        seed=3,
        test=CLASSES + 1,
        progress=counts.append,
    )
    test = members((tmp_path / "ILSVRC2012_img_test.tar").read_bytes())
    assert list(test) == [f"ILSVRC2012_test_{number:08d}.JPEG" for number in range(1, CLASSES + 2)]
    others = members((tmp_path / "ILSVRC2012_img_val.tar").read_bytes()).values()
    assert len({*test.values(), *others}) == len(test) + len(others)
    assert sum(counts) == CLASSES * (TRAIN_PER_CLASS + VAL_PER_CLASS) + CLASSES + 1
    (tmp_path / "ILSVRC2012_img_test.tar").unlink()
    assert files_of(tmp_path) == files_of(ilsvrc)


def test_no_two_photos_are_equal(tmp_path: Path) -> None:
    synthesize(tmp_path, classes=4, train_per_class=5, val_per_class=5, layout="folder")
    photos = list(files_of(tmp_path).values())
    assert len(photos) == 40
    assert len(set(photos)) == 40


def test_every_photo_is_reported(tmp_path: Path) -> None:
    counts: list[int] = []
    synthesize(tmp_path, classes=2, train_per_class=3, val_per_class=2, progress=counts.append)
    assert sum(counts) == 10


@pytest.mark.parametrize("layout", ["ilsvrc", "folder"])
def test_unusual_photos_are_of_the_reported_kinds(tmp_path: Path, layout: str) -> None:
    odd = synthesize(tmp_path, classes=2, train_per_class=8, val_per_class=1, layout=layout, odd=True)
    assert {kind: sum(photo.kind == kind for photo in odd) for kind in UNUSUAL_KINDS} == UNUSUAL_KINDS
    if layout == "folder":
        photos = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in (tmp_path / "train").rglob("*.jpg")}
    else:
        tars = members((tmp_path / "ILSVRC2012_img_train.tar").read_bytes())
        photos = {f"{t[:-4]}/{n}": d for t, tar in tars.items() for n, d in members(tar).items()}
    found = {name: oddity(photo) for name, photo in photos.items()}
    assert {name: kind for name, kind in found.items() if kind} == {photo.name: photo.kind for photo in odd}


def oddity(data: bytes) -> str:
    """What is unusual about a file, found without the code that made it so."""
    photo = Image.open(io.BytesIO(data))
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        photo.load()
    except OSError:
        return "truncated"
    if photo.format == "PNG":
        return "PNG"
    if photo.getexif().get(0x0112, 1) != 1:
        return "EXIF-rotated"
    return {"CMYK": "CMYK", "L": "gray", "RGB": ""}[photo.mode]


def test_sizes_are_those_of_ilsvrc() -> None:
    sizes = [draw_photo("disc", "striped", np.random.default_rng(seed)).size for seed in range(60)]
    widths, heights = np.array(sizes).T
    assert 480 <= np.median(widths) <= 500
    assert 330 <= np.median(heights) <= 380
    assert 0.05 < np.mean(heights > widths) < 0.5
    assert min(min(size) for size in sizes) > 256


@pytest.mark.parametrize("count", range(2, 101, 7))
def test_classes_are_distinct_sorted_and_use_shapes_and_textures_evenly(count: int) -> None:
    classes = synthetic_classes(count)
    wnids = [made_up.wnid for made_up in classes]
    assert wnids == sorted(set(wnids))
    assert all(len(wnid) == 9 and wnid.startswith("n9") and wnid[1:].isdigit() for wnid in wnids)
    assert len({made_up.name for made_up in classes}) == count
    for words in zip(*(made_up.name.split() for made_up in classes), strict=True):
        uses = [words.count(word) for word in set(words)]
        assert max(uses) - min(uses) <= 1


def test_neither_shape_nor_texture_alone_separates_ten_classes() -> None:
    names = [made_up.name.split() for made_up in synthetic_classes(10)]
    assert len({texture for texture, _ in names}) == 4
    assert len({shape for _, shape in names}) == 4


def test_every_shape_and_texture_differs_from_every_other() -> None:
    """Pairs differ on a twentieth of the object's square or more; textures except `plain` use both colors."""
    line = np.linspace(-1, 1, 80, dtype=np.float32)
    v, u = (plane.copy() for plane in np.meshgrid(line, line, indexing="ij"))
    for functions in (SHAPES, TEXTURES):
        planes = {name: function(u, v) for name, function in functions.items()}
        assert all(plane.dtype == np.float32 and plane.shape == u.shape for plane in planes.values())
        masks = {name: plane > (0 if functions is SHAPES else 0.5) for name, plane in planes.items()}
        for name, mask in masks.items():
            assert name == "plain" or 0.1 < mask.mean() < 0.9
            assert all(np.mean(mask != other) > 0.05 for key, other in masks.items() if key != name)


@pytest.fixture(scope="module")
def thumbnails() -> tuple[np.ndarray, np.ndarray]:
    """(N, 48, 48, 3) central squares of 60 photos of each of ten classes, and their labels."""
    images, labels = [], []
    for label, made_up in enumerate(synthetic_classes(10)):
        texture, shape = made_up.name.split()
        for number in range(60):
            photo = draw_photo(shape, texture, np.random.default_rng((9, label, number)))
            left, top = (photo.width - min(photo.size)) // 2, (photo.height - min(photo.size)) // 2
            box = (left, top, left + min(photo.size), top + min(photo.size))
            images.append(np.asarray(photo.resize((48, 48), Image.Resampling.BOX, box=box), np.float64))
            labels.append(label)
    return np.stack(images), np.array(labels)


def linear_error(features: np.ndarray, labels: np.ndarray) -> float:
    """Error of ridge regression onto the classes: fitted on every second photo, tested on the others."""
    features = (features - features.mean(0)) / features.std(0)
    features = np.hstack([features, np.ones((len(features), 1))])
    fitted, tested = slice(0, None, 2), slice(1, None, 2)
    gram = features[fitted].T @ features[fitted] + 10 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[fitted].T @ np.eye(10)[labels[fitted]])
    return float(np.mean((features[tested] @ weights).argmax(1) != labels[tested]))


def test_colors_do_not_reveal_the_class(thumbnails: tuple[np.ndarray, np.ndarray]) -> None:
    """Chance level is an error of 0.9, with a standard deviation of 0.017 for 300 tested photos."""
    images, labels = thumbnails
    mean = images.mean((1, 2))
    assert linear_error(mean, labels) > 0.8
    assert linear_error(np.hstack([mean, images.std((1, 2))]), labels) > 0.75
    coarse = images.reshape(-1, 4, 12, 4, 12, 3).mean((2, 4)).reshape(len(images), -1)
    assert linear_error(coarse, labels) > 0.75


def test_edges_separate_the_classes(thumbnails: tuple[np.ndarray, np.ndarray]) -> None:
    """Histograms of edges do far better than colors on as few photos: the problem can be learned."""
    images, labels = thumbnails
    gray = images.mean(3)
    down, across = np.gradient(gray, axis=(1, 2))
    strength, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    bins = (angle / np.pi * 8).astype(int) % 8
    cells = [
        (strength * (bins == number)).reshape(-1, 6, 8, 6, 8).sum((2, 4)).reshape(len(images), -1)
        for number in range(8)
    ]
    histograms = np.sqrt(np.hstack(cells))
    histograms /= np.linalg.norm(histograms, axis=1, keepdims=True)
    assert linear_error(histograms, labels) < 0.75


def test_a_folder_that_is_not_empty_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CommandError, match="is not empty: choose a new or empty folder"):
        synthesize(tmp_path, classes=2, train_per_class=1, val_per_class=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def killed(photos: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path, classes=2, train_per_class=2, val_per_class=1, progress=killed)
    assert not list(tmp_path.glob("*.tar*"))
    synthesize(tmp_path, classes=2, train_per_class=2, val_per_class=1)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 1}, "type 2 to 100"),
        ({"classes": 101}, "type 2 to 100"),
        ({"train_per_class": 0}, "type 1 or more"),
        ({"val_per_class": 0}, "type 1 or more"),
        ({"test": -1}, "0 or more"),
        ({"test": 5, "layout": "folder"}, "only layout ilsvrc"),
        ({"classes": 2, "train_per_class": 6, "odd": True}, "too few"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(
    tmp_path: Path, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        synthesize(tmp_path / "new", **settings)
    assert not (tmp_path / "new").exists()


def test_a_file_or_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CommandError, match="is a file"):
        synthesize(file, classes=2, train_per_class=1, val_per_class=1)
    with pytest.raises(WorkError, match="cannot be written"):
        synthesize(file / "below", classes=2, train_per_class=1, val_per_class=1)
