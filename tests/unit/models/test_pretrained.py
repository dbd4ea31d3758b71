"""The network that comes with the package."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

import alexnet
from alexnet.cli.main import main
from alexnet.runs.run_dir import PRETRAINED, find_weights

MOST_BYTES = 8_000_000


def test_it_is_small_and_its_weights_are_bfloat16() -> None:
    file = find_weights(Path(PRETRAINED))
    assert file.stat().st_size <= MOST_BYTES
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            tensor = opened.get_slice(name)
            if name.startswith("model.") and len(tensor.get_shape()) > 1:
                assert tensor.get_dtype() == "BF16", name


def test_it_knows_the_classes_of_tiny_imagenet_and_their_terms() -> None:
    predictor = alexnet.load(PRETRAINED, "cpu")
    assert len(predictor.classes) == len({each.wnid for each in predictor.classes}) == 200
    assert all(each.wnid.startswith("n") and each.name != each.wnid for each in predictor.classes)
    assert "ImageNet: research and teaching only" in predictor.terms["data_terms"]
    assert predictor.terms["weights_license"] == "BSD-3-Clause"
    assert predictor.provenance is not None and predictor.provenance.recipe == "alexnet-small"


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / PRETRAINED).write_bytes(b"mine")
    assert find_weights(Path(PRETRAINED)) == Path(PRETRAINED)


def test_photos_are_classified_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    assert main(["predict", str(tmp_path / "photo.png"), "--json", "--device", "cpu"]) == 0
    ((found,),) = [json.loads(capsys.readouterr().out)]
    assert len(found["classes"]) == 5


@pytest.mark.slow
def test_it_is_fine_tuned_for_other_classes(tmp_path: Path) -> None:
    """Waves in noise, in rows or columns."""
    generator, place = np.random.default_rng(0), np.mgrid[:64, :64]
    for split, count in (("train", 24), ("val", 10)):
        for axis, name in enumerate(("rows", "columns")):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                waves = 40 * np.sin(place[axis] / generator.uniform(2, 3) + generator.uniform(0, 6))
                pixels = 120 + waves[..., None] + generator.normal(0, 30, (64, 64, 3))
                photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                photo.save(tmp_path / "photos" / split / name / f"{number}.png")
    store = alexnet.prepare(tmp_path / "photos", tmp_path / "store", side=64, workers=1)
    settings = ["input_size=56", "epochs=2", "batch_size=8", "lr=0.001", "warmup_epochs=0"]
    trained = alexnet.train(
        "alexnet-small", store, tmp_path / "run", *settings, init_from=PRETRAINED, device="cpu"
    )
    assert trained.errors["top1_error"] <= 0.1
    tuned = alexnet.load(tmp_path / "run", "cpu")
    assert [each.wnid for each in tuned.classes] == ["columns", "rows"]
    models = (tuned.model, alexnet.load(PRETRAINED, "cpu").model)
    weights = [each.get_parameter("conv3.weight").detach() for each in models]
    change = float((weights[0] - weights[1]).norm() / weights[1].norm())
    assert 0 < change < 0.5  # trained, and not from random weights


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(member)
    assert opened is not None
    return opened.read()


def test_real_photos_of_its_classes_are_mostly_among_the_first_five(shared_data: Path) -> None:
    predictor = alexnet.load(PRETRAINED, "cpu")
    photos, truth = [], []
    with tarfile.open(shared_data / "tiny-imagenet-30.tar") as tar:
        files = {
            Path(member.name).name: member for member in tar if "/val/" in member.name and member.isfile()
        }
        annotations = read(tar, files["val_annotations.txt"]).decode()
        for line in annotations.splitlines()[:300]:
            name, wnid, *_ = line.split("\t")
            photos.append(np.asarray(Image.open(io.BytesIO(read(tar, files[name]))).convert("RGB")))
            truth.append(wnid)
    wnids = [each.wnid for each in predictor.classes]
    best = np.argsort(-predictor.probabilities(photos, "center"), axis=1)[:, :5]
    top5 = np.mean([label in [wnids[i] for i in row] for label, row in zip(truth, best, strict=True)])
    assert top5 > 0.5
