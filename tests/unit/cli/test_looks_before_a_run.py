"""`alexnet preview` and `alexnet lr-range`: figures about a recipe, without a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


def words(verb: str, store: Store, out: Path) -> list[str]:
    settings = [each for each in tiny.SETTINGS if "_size=72" not in each and "input_size" not in each]
    return [verb, tiny.RECIPE, "--store", str(store.path), "--out", str(out), *settings]


TAKEN = (
    "data.image_size=72 data.input_size=64, since the store's images have 72 pixels "
    f"({tiny.RECIPE}: 224 of 256)\n"
)


def test_preview_writes_a_figure_and_nothing_else(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "preview.png"
    assert main([*words("preview", store, out), "--photos", "2", "--epochs", "3"]) == 0
    assert capsys.readouterr().out == f"{TAKEN}{out}: 2 photos in 3 epochs\n"
    with Image.open(out) as figure:
        assert figure.width > figure.height
    assert list(tmp_path.iterdir()) == [out]


def test_lr_range_suggests_a_rate_and_leaves_no_run(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "range.png"
    assert main([*words("lr-range", store, out), "--updates", "12", "--device", "cpu"]) == 0
    found = re.search(r"suggested: optimizer\.lr=(\S+) \(the recipe has 0\.01\)", capsys.readouterr().out)
    assert found is not None and 1e-7 <= float(found[1]) <= 1
    with Image.open(out) as figure:
        assert figure.format == "PNG"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("verb", ["preview", "lr-range"])
def test_pipelines_and_other_stores_are_refused_in_one_line(
    verb: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figure.png"
    assert main([verb, "alexnet-modern", "--store", str(store.path), "--out", str(tmp_path / "plot")]) == 2
    assert "plot is not the name of a figure: it must end in .png" in capsys.readouterr().err
    assert main([verb, "sift-fv", "--store", str(store.path), "--out", str(out)]) == 2
    assert "sift-fv is not a network: type one, such as alexnet-modern" in capsys.readouterr().err
    wrong = ["alexnet-modern", "image_size=256", "input_size=224"]
    assert main([verb, *wrong, "--store", str(store.path), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "type data.image_size=72 data.input_size=64" in error
    assert error.count("\n") == 1
    assert not out.exists()
