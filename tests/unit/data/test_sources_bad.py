"""Problems of a source are one-line errors that name it, and strays never become classes."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest
from unit.data import source_makers as make

from alexnet.data.sources import open_source
from alexnet.errors import CommandError, DataError

CLUTTER = {
    ".DS_Store": b"x",
    "README.md": b"x",
    "train/.ipynb_checkpoints/n01440764_10.JPEG": make.photo(),
    "train/n01440764/Thumbs.db": b"x",
    "train/n01440764/._n01440764_10.JPEG": b"x",
    "train/n01443537/.cache/old.JPEG": make.photo(),
    "val/__MACOSX/a.JPEG": make.photo(),
    "val/n01440764/a.txt": b"x",
    "val/n01440764/b.txt": b"x",
    "val/n01440764/c.txt": b"x",
    "val/n01440764/d.txt": b"x",
}


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        open_source(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("tar", [False, True])
def test_strays_are_named_and_change_nothing(tmp_path: Path, tar: bool) -> None:
    files = make.folder_files() | CLUTTER
    if tar:
        make.write(tmp_path, {"photos.tar": make.tar_bytes(files)})
    else:
        make.write(tmp_path, files)
        (tmp_path / "train/empty").mkdir()
    source = open_source(tmp_path / "photos.tar" if tar else tmp_path)
    assert [c.wnid for c in source.classes] == list(make.WNIDS)
    assert [len(split) for split in source.splits.values()] == [12, 6]
    assert sorted(source.strays) == sorted(
        [
            ".DS_Store",
            "README.md",
            "train/.ipynb_checkpoints/ (1 file)",
            "train/n01440764/._n01440764_10.JPEG",
            "train/n01440764/Thumbs.db",
            "train/n01443537/.cache/ (1 file)",
            "val/__MACOSX/ (1 file)",
            "val/n01440764/: 4 files such as a.txt",
            *([] if tar else ["train/empty/ (empty)"]),
        ]
    )


def test_strays_next_to_and_in_the_official_tars(tmp_path: Path) -> None:
    test = {"ILSVRC2012_img_test.tar": b"x", "ILSVRC2012_img_test_v10102019.tar": _test_tar()}
    files = {**test, "val.txt": make.label_lines(" "), "notes.pdf": b"x"}
    make.write(make.ilsvrc_tars(tmp_path), files)
    strays = open_source(tmp_path).strays
    assert strays == ["ILSVRC2012_img_test_v10102019.tar: readme", "ILSVRC2012_img_test.tar", "notes.pdf"]


def _test_tar() -> bytes:
    return make.tar_bytes(make.hidden_photos() | {"readme": b"x"})


def test_a_test_tar_without_photos_is_refused(tmp_path: Path) -> None:
    files = {"ILSVRC2012_img_test.tar": make.tar_bytes({"readme": b"x"}), "val.txt": make.label_lines(" ")}
    _refused(make.write(make.ilsvrc_tars(tmp_path), files), "ILSVRC2012_img_test.tar holds no photo")


def test_missing_sources(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no such file or folder: .*nowhere"):
        open_source(tmp_path / "nowhere")
    _refused(tmp_path, "empty", "supported are")
    with pytest.raises(CommandError, match=r"1\.5"):
        open_source(tmp_path, val_fraction=1.5)


def test_unrecognized_sources(tmp_path: Path) -> None:
    make.write(tmp_path, {"notes.txt": b"x", "more/deep/notes.txt": b"x"})
    _refused(tmp_path, "notes.txt", "supported are")
    _refused(tmp_path / "notes.txt", "not a folder, tar or parquet file", "supported are")
    make.write(tmp_path / "flat", {"a.jpg": make.photo(), "b.jpg": make.photo()})
    _refused(tmp_path / "flat", "2 photos outside any class folder")


def test_compressed_archives_name_the_command_that_unpacks_them(tmp_path: Path) -> None:
    packed = make.write(tmp_path, {"photos.tar.gz": gzip.compress(make.tar_bytes(make.folder_files()))})
    _refused(packed / "photos.tar.gz", "gzip -d photos.tar.gz")


@pytest.mark.parametrize("where", ["in a photo", "in a header", "between photos"])
def test_a_tar_cut_short_or_damaged(where: str, tmp_path: Path) -> None:
    data = make.tar_bytes(make.folder_files())
    second = 512 + -(-int(data[124:135], 8) // 512) * 512
    if where == "in a photo":
        data = data[: second + 600]
    elif where == "in a header":
        data = data[: second + 100]
    else:
        data = data[:second] + b"rubbish!" + data[second + 8 :]
    _refused(make.write(tmp_path, {"photos.tar": data}) / "photos.tar", "photos.tar", "download it again")


def test_an_official_tar_cut_short(tmp_path: Path) -> None:
    make.write(make.ilsvrc_tars(tmp_path), {"val.txt": make.label_lines(" ")})
    tar = tmp_path / "ILSVRC2012_img_train.tar"
    tar.write_bytes(tar.read_bytes()[:6000])
    _refused(tmp_path, "ILSVRC2012_img_train.tar", "download it again")


def test_a_tar_cut_after_it_was_opened(tmp_path: Path) -> None:
    make.write(tmp_path, {"photos.tar": make.tar_bytes(make.folder_files())})
    source = open_source(tmp_path / "photos.tar")
    os.truncate(tmp_path / "photos.tar", 700)
    with pytest.raises(DataError, match="cut short"):
        source.splits["train"][0]


def test_a_tar_removed_after_it_was_opened(tmp_path: Path) -> None:
    make.write(tmp_path, {"photos.tar": make.tar_bytes(make.folder_files())})
    source = open_source(tmp_path / "photos.tar")
    (tmp_path / "photos.tar").unlink()
    with pytest.raises(DataError, match=r"cannot read .*photos.tar: No such file"):
        source.splits["train"][0]


def test_a_photo_removed_after_it_was_listed(tmp_path: Path) -> None:
    source = open_source(make.write(tmp_path, make.folder_files()))
    (tmp_path / "train/n01440764/n01440764_10.JPEG").unlink()
    with pytest.raises(DataError, match=r"cannot read .*n01440764_10.JPEG: No such file"):
        source.splits["train"][0]


def test_a_class_folder_without_photos(tmp_path: Path) -> None:
    make.write(tmp_path, make.folder_files() | {"train/n09999999/notes.txt": b"x"})
    _refused(tmp_path, "train/n09999999", "no photo")


def test_train_and_val_classes_that_differ(tmp_path: Path) -> None:
    files = {k: v for k, v in make.folder_files().items() if not k.startswith("val/n01443537")}
    make.write(tmp_path, files | {"val/n07777777/a.JPEG": make.photo()})
    _refused(tmp_path, "train and val", "only in the first: n01443537", "only in the second: n07777777")


def test_flat_val_without_labels(tmp_path: Path) -> None:
    make.write(tmp_path, make.flat_val_files())
    _refused(tmp_path, "val/ holds 6 photos", "val.txt")
    make.write(make.ilsvrc_tars(tmp_path / "tars"), {})
    _refused(tmp_path / "tars", "ILSVRC2012_img_val.tar", "devkit", "LOC_val_solution.csv")


def test_a_flat_test_without_labels_is_unlabeled(tmp_path: Path) -> None:
    make.write(tmp_path, make.folder_files() | {"test/a.JPEG": make.photo(), "test/b.JPEG": make.photo()})
    source = open_source(tmp_path)
    assert list(source.splits) == ["train", "val", "test"]
    assert source.splits["test"].labels.tolist() == [-1, -1]
    assert source.strays == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            {"val.txt": make.label_lines(" "), "val.csv": make.label_lines(",", numbers=True)[:-1] + b"1"},
            ["val.csv and val.txt", "--labels FILE"],
        ),
        (
            {"val.txt": make.label_lines(" ").rpartition(b"\n")[0]},
            ["no label for 1 photo", "ILSVRC2012_val_00000001"],
        ),
        ({"val.txt": make.label_lines(" ").replace(b"n01443537", b"n07777777")}, ["n07777777", "3 classes"]),
        ({"val.txt": b"n01440764\nn01440764"}, ["2 labels for 6 photos"]),
        ({"val.txt": b"1\n2\n4\n1\n2\n3"}, ["label '1'", "from 0 or 1"]),
        ({"val.txt": b"1\n2\n2\n1\n2\n1"}, ["positions from 0 (from-0)", "from-1", "--label-numbers"]),
        ({"val.txt": b"\xff\xfe\x00"}, ["val.txt", "UTF-8"]),
        ({"ILSVRC2012_validation_ground_truth.txt": b"1\n2\n3\n1\n2\n3"}, ["meta.mat"]),
        (
            {"ILSVRC2012_devkit_t12.tar.gz": b"\x1f\x8bxx"},
            ["ILSVRC2012_devkit_t12.tar.gz", "download it again"],
        ),
        (
            {"ILSVRC2012_devkit_t12.tar.gz": gzip.compress(make.tar_bytes({"a": b""}))},
            ["meta.mat", "tasks 1 and 2"],
        ),
        ({"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()[:-99]}, ["not a complete archive"]),
    ],
)
def test_labels_that_do_not_fit(labels: make.Photos, words: list[str], tmp_path: Path) -> None:
    _refused(make.write(tmp_path, make.flat_val_files() | labels), *words)


def test_large_files_in_archives_are_not_read(tmp_path: Path, monkeypatch) -> None:
    files = {"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()}
    monkeypatch.setattr("alexnet.data.sources.devkit._MAX_FILE_BYTES", 20)
    _refused(
        make.write(make.ilsvrc_tars(tmp_path), files), "ILSVRC2012_devkit_t12.tar.gz", "bytes, more than 20"
    )
    boxes = gzip.compress(make.tar_bytes({"n01440764_10.xml": make.annotation("n01440764", (0, 0, 1, 1))}))
    files = {"val.txt": make.label_lines(" "), "ILSVRC2012_bbox_train_v2.tar.gz": boxes}
    folder = make.write(make.ilsvrc_tars(tmp_path / "boxes"), files)
    assert open_source(folder).splits
    monkeypatch.setattr("alexnet.data.sources.voc._MAX_XML_BYTES", 20)
    _refused(folder, "n01440764_10.xml has", "bytes, more than 20")


def test_only_regular_files_of_some_size_may_label_the_photos_of_tars(tmp_path: Path, monkeypatch) -> None:
    folder = make.write(make.ilsvrc_tars(tmp_path), {"val.txt": make.label_lines(" ")})
    os.mkfifo(folder / "val.csv")
    (folder / "val.json").symlink_to("/dev/zero")
    (folder / "val.lst").write_bytes(2000 * b"x")
    monkeypatch.setattr("alexnet.data.sources.imagenet.MAX_TEXT_BYTES", 1000)
    assert open_source(folder).splits["val"].labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    for name in ("photos.tar", "train.parquet", "labels.csv"):
        os.mkfifo(tmp_path / name)
        _refused(tmp_path / name, f"{name} is neither a folder nor a regular file")


@pytest.mark.parametrize("word", ["99", "x", "-1", 5000 * "9"])
def test_ids_that_the_kit_does_not_have(word: str, tmp_path: Path) -> None:
    name = "ILSVRC2012_validation_ground_truth.txt"
    files = make.devkit_files() | {f"data/{name}": f"1\n{word}\n".encode()}
    _refused(
        make.write(make.ilsvrc_tars(tmp_path), files), f"{name} holds {word[:40]!r}, which is not a class"
    )


@pytest.mark.parametrize("broken", ["meta.mat", "ILSVRC2012_validation_ground_truth.txt"])
def test_a_kit_of_another_challenge(broken: str, tmp_path: Path) -> None:
    files = make.devkit_files() | {f"data/{broken}": b"99\n" * 6}
    _refused(make.write(make.ilsvrc_tars(tmp_path), files), broken)


def test_broken_boxes(tmp_path: Path) -> None:
    note = "ILSVRC/Annotations/CLS-LOC/train/n01440764/n01440764_10.xml"
    whole = make.annotation("n01440764", (0, 0, 1, 1))
    for number, text in enumerate(
        (
            b"<annotation>",
            b"",
            whole.replace(b"bndbox", b"box"),
            whole.replace(b"<xmax>1<", b"<xmax>nan<"),
            whole.replace(b"<width>12<", b"<width>wide<"),
        )
    ):
        folder = make.write(make.kaggle(tmp_path / str(number)), {note: text})
        with pytest.raises(DataError, match=r"broken boxes in .*n01440764_10\.xml"):
            open_source(folder).splits["train"][0]


def test_tiny_imagenets_class_list_is_checked(tmp_path: Path) -> None:
    files = make.tiny_imagenet_files()
    make.write(tmp_path, files | {"tiny-imagenet-200/train/n08888888/images/a.JPEG": make.photo()})
    _refused(tmp_path, "wnids.txt", "only in the second: n08888888")


@pytest.mark.parametrize("text", [b"a.JPEG\t1\t2\t3", b"a.JPEG\tone\t2\t3\t4"])
def test_tiny_imagenets_broken_boxes(text: bytes, tmp_path: Path) -> None:
    files = make.tiny_imagenet_files()
    make.write(tmp_path, files | {"tiny-imagenet-200/train/n01440764/n01440764_boxes.txt": text})
    _refused(tmp_path, "n01440764_boxes.txt")


def test_broken_idx(tmp_path: Path) -> None:
    name = "train-images-idx3-ubyte"
    whole = (make.idx(tmp_path / "whole", compress=False) / name).read_bytes()
    wrong = {
        "cut": (whole[:-1], "download it again"),
        "counts": (whole[:7] + b"\x08" + whole[8:-35], "8 images but 9 labels"),
        "kind": (b"\x00\x00\x0d\x03" + whole[4:], "not an IDX file"),
        "packed": (gzip.compress(whole)[:-9], "cut short or damaged"),
    }
    for case, (data, words) in wrong.items():
        _refused(
            make.write(make.idx(tmp_path / case, compress=False), {name: data}),
            name if case != "counts" else "",
            words,
        )
    (make.idx(tmp_path / "half", compress=False) / name).unlink()
    _refused(tmp_path / "half", "images file of train is missing")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2**31, 2**31, 4), "more than 1,073,741,824 bytes"),  # 2^64: no bytes in 64 bits
        ((60_000, 280, 280), "more than 1,073,741,824 bytes"),
        ((9, 5, 8), "holds 315 bytes, its header promises (9, 5, 8)"),
        ((9, 5, 6), "holds more than 270 bytes, its header promises (9, 5, 6)"),
    ],
)
def test_the_sizes_of_idx_decide_what_is_decompressed(
    shape: tuple[int, ...], words: str, compress: bool, tmp_path: Path
) -> None:
    folder = make.idx(tmp_path, compress)
    path = folder / f"train-images-idx3-ubyte{'.gz' if compress else ''}"
    data = gzip.decompress(path.read_bytes()) if compress else path.read_bytes()
    data = data[:4] + struct.pack(">3I", *shape) + data[16:]
    path.write_bytes(gzip.compress(data) if compress else data)
    _refused(folder, path.name, words)


def test_idx_is_decompressed_only_as_far_as_its_header_says(tmp_path: Path, monkeypatch) -> None:
    folder = make.idx(tmp_path, compress=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(10**7)))
    read: list[int] = []
    whole = gzip.GzipFile.read

    def counted(self, size=-1):
        read.append(size)
        return whole(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    _refused(folder, "holds more than 315 bytes")
    assert -1 not in read
    assert sum(read) < 1000


def test_broken_parquet(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    make.write_parquet(path, {"a": make.photo(), "b": make.photo()}, [0, 2], ("cat", "dog"))
    _refused(tmp_path, "1 photo with a label outside the 2 classes", "column 'label' holds 2")
    make.write_parquet(path, {"a": make.photo()}, [-1], ("cat", "dog"))
    _refused(tmp_path, "no photo in the tables has a label")
    make.write_parquet(path, {"a": make.photo()}, [0], ("cat", "dog"))
    path.write_bytes(path.read_bytes()[:-10])
    _refused(tmp_path, "train.parquet", "download it again")


def test_a_folder_that_is_not_photos_and_labels_in_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "train.parquet")
    _refused(tmp_path, "columns text", "expected an image")
