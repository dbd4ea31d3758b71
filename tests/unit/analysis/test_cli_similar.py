from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import reference.neighbors
from PIL import Image

import alexnet
from alexnet.analysis.features import features_path
from alexnet.cli.main import main
from alexnet.interop.export import export


@pytest.fixture
def photos(store):
    """Two of the training photos, by their labels."""
    folder = store.path.parent / "photos" / "train"
    return {0: folder / "class0" / "3.png", 2: folder / "class2" / "11.png"}


def similar(capsys, *words) -> tuple[int, str, str]:
    code = main(["similar", "--device", "cpu", *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_json_lists_the_nearest_images_the_photo_itself_first(make_run, store, photos, capsys) -> None:
    run = make_run()
    words = [*photos.values(), "--model", run.path, "--store", store.path, "--json", "--top", 4]
    code, out, err = similar(capsys, *words)
    assert (code, err) == (0, "")
    results, split = json.loads(out), store.split("train")
    vectors = alexnet.load(run.path).features([*photos.values()])
    numbers, distances = reference.neighbors.nearest(
        vectors, np.load(features_path(run.path, store, "train", "fc7")), 4
    )
    for row, (label, photo) in enumerate(photos.items()):
        assert results[row]["image"] == str(photo)
        found = results[row]["neighbors"]
        assert [each["number"] for each in found] == numbers[row].tolist()
        np.testing.assert_allclose([each["distance"] for each in found], distances[row], atol=1e-4)
        assert found[0]["key"] == f"class{label}/{photo.name}"
        for each in found:
            assert each["key"] == split.key(each["number"])
            assert each["wnid"] == store.classes[split.labels[each["number"]]].wnid


def test_without_a_photo_to_draw_there_is_no_figure(make_run, store, tmp_path, capsys) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    words = [tmp_path / "bad.jpg", "--model", make_run().path, "--store", store.path]
    code, _, err = similar(capsys, *words, "--out", tmp_path / "near.png")
    assert code == 3 and "no figure" in err
    assert not (tmp_path / "near.png").exists()


def test_a_parquet_file_has_a_row_for_each_similar_image(make_run, store, photos, tmp_path, capsys) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    words = [*photos.values(), tmp_path / "bad.jpg", "--model", make_run().path, "--store", store.path]
    file = tmp_path / "near.parquet"
    code, out, _ = similar(capsys, *words, "--top", 2, "--parquet", file)
    assert (code, out) == (3, f"{file}: 5 rows\n")
    rows = pq.read_table(file).to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 1, 2, None]
    assert [row["photo"] for row in rows[::2]] == [*map(str, photos.values()), str(tmp_path / "bad.jpg")]
    assert rows[0]["image"] == "class0/3.png" and rows[0]["distance"] == pytest.approx(0, abs=1e-3)
    assert rows[-1]["error"] and rows[0]["error"] is None


def test_text_figure_and_an_exported_file(make_run, store, photos, tmp_path, capsys) -> None:
    run, out, file = make_run(), tmp_path / "new" / "near.png", tmp_path / "net.safetensors"
    export(run.path, file)
    code, text, _ = similar(capsys, *photos.values(), "--model", file, "--store", store.path, "--out", out)
    assert code == 0
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [str(photo) for photo in photos.values()]
    assert len(lines) == 2 * 7
    assert "class0/3.png" in lines[1]
    with Image.open(out) as picture:
        assert picture.width > picture.height
    assert not (run.path / "features").exists()


def test_an_unreadable_photo_is_reported_and_the_others_are_processed(
    make_run, store, photos, tmp_path, capsys, monkeypatch
) -> None:
    with Image.open(photos[0]) as photo:  # Pillow warns about more pixels: the warning is suppressed
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", photo.width * photo.height - 1)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    words = [bad, photos[0], "--model", make_run().path, "--store", store.path, "--json"]
    code, out, err = similar(capsys, *words, "--out", tmp_path / "near.svg")
    assert code == 3
    assert "1 of 2 photos could not be read" in err
    first, second = json.loads(out)
    assert "error" in first
    assert len(second["neighbors"]) == 6
    assert (tmp_path / "near.svg").read_text().startswith("<?xml")


def test_standard_input_and_another_split_and_layer(make_run, store, photos, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(photos[0].read_bytes())))
    words = ["-", "--model", make_run().path, "--store", store.path, "--split", "val", "--layer", "pool5"]
    code, out, _ = similar(capsys, *words, "--json", "--top", 100)
    assert code == 0
    assert len(json.loads(out)[0]["neighbors"]) == len(store.split("val"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--layer", "fc9"], "no layer 'fc9'"),
        (["--out", "near.txt"], "must end in"),
        (["--split", "test"], "no split 'test'"),
        (["--top", "0"], "top"),
    ],
)
def test_wrong_options_are_command_errors(make_run, store, photos, capsys, words, named) -> None:
    code, _, err = similar(capsys, photos[0], "--model", make_run().path, "--store", store.path, *words)
    assert code == 2
    assert named in err and err.count("\n") == 1
