"""Windows of a localizer, their boxes, and predictions for a photo and a split."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from unit.data.memory_source import examples, source
from unit.data.store_makers import change_a_byte

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import RunConfig, override
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.prediction_cache import predict_split
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.views import scaled_views
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.overfeat import OverFeatLocalizer
from alexnet.runs.environment import Environment
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.tasks import localization
from alexnet.tasks.localization import Localization, LocatedClasses, WindowOutputs, best_boxes

SETTINGS = (
    *("data.image_size=72", "data.input_size=64", "data.test_scales=[64,96]"),
    "model.variant=fast",
    "model.architecture.widths=[4,6,8,8,8,16,12]",
    "model.architecture.initialization=kaiming",
    "model.architecture.regression=[10,6]",
)


def config() -> RunConfig:
    return override(recipes.get("overfeat-fast-localization"), SETTINGS)


class Known(OverFeatLocalizer):
    """Predicts class 1 in windows whose middle is bright, and their middles as all boxes.

    Boxes of neighboring windows are too far apart to be merged.
    """

    def class_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = self.places(*images.shape[2:])
        step, half = self.map_step_pixels, self.crop // 2
        bright = (images[:, 0, half::step, half::step][:, :rows, :columns] > 0).float()
        boxes = torch.tensor([0.25, 0.25, 0.75, 0.75])[None, None, :, None, None]
        logits = torch.stack([torch.zeros_like(bright), 4 * bright], dim=1)
        return logits, boxes.expand(len(images), 2, 4, rows, columns)


class Reversed(Known):
    """Predicts the right and lower edges first."""

    def class_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, boxes = super().class_and_box_maps(images)
        return logits, boxes[:, :, [2, 3, 0, 1]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = [replace(each, boxes=(Box(each.label, 0.3, 0.3, 0.7, 0.8),)) for each in examples(14)]
    # Both classes in both splits.
    halves = {"train": made[::2], "val": made[1::2]}
    folder: Path = tmp_path_factory.mktemp("located")
    return prepare(source(**halves), folder / "store", PrepareSettings(side=72), workers=1)


def loaded(store: Store, kind: type[OverFeatLocalizer] = Known) -> ModelBundle:
    torch.manual_seed(0)
    model = kind(config().model.architecture, 2, 64).eval()
    return ModelBundle(model, config(), store.classes, Preprocessing.from_store(config().data, store), {})


def run_of(store: Store, folder: Path) -> RunDir:
    run, net = RunDir.create(folder / "run", config()), loaded(store, OverFeatLocalizer)
    run.write_environment(Environment())
    weights = run.checkpoints / "last" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    bundle.save(weights, bundle.ModelBundle(net.model, net.config, net.classes, net.preprocessing))
    return run


def black(height: int, width: int, y: int, x: int) -> Tensor:
    """(1, H, W, 3) but for one white pixel."""
    image = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    image[0, y, x] = 255
    return image


def located(net: ModelBundle, views: ViewSet, image: Tensor) -> LocatedClasses:
    (found,) = Localization(net.config, 2, top=1).infer(net, scaled_views(net, views), [image])
    return found


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 3), (2, 5)])
def test_boxes_lie_where_their_windows_do(store: Store, i: int, j: int) -> None:
    net, image = loaded(store), black(96, 144, 32 + 16 * i, 32 + 16 * j)
    labels, corners, scores = located(net, ViewSet("dense", (96,)), image)
    assert labels.tolist() == [1]
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-4)))
    pixels = np.array([16 * j + 16, 16 * i + 16, 16 * j + 48, 16 * i + 48])
    assert corners[0] == pytest.approx(pixels / [144, 96, 144, 96])


def test_the_central_window_starts_where_the_crop_does(store: Store) -> None:
    net = loaded(store)
    labels, corners, _ = located(net, ViewSet("center"), black(72, 72, 36, 36))
    assert labels.tolist() == [1]
    assert corners[0] == pytest.approx(np.array([20, 20, 52, 52]) / 72)


def test_a_photos_boxes_are_in_its_own_pixels(store: Store) -> None:
    net = loaded(store)
    photo = np.zeros((96, 144, 3), np.uint8)
    photo[48, 80] = 255
    ((dense,),) = Predictor(net).predict(photo, "dense@96", top=1)
    assert (dense.wnid, dense.box) == (store.classes[1].wnid, pytest.approx((64, 32, 96, 64)))
    square = np.zeros((144, 216, 3), np.uint8)
    square[72 - 6 : 72 + 6, 108 - 6 : 108 + 6] = 255
    ((center,),) = Predictor(net).predict(square, "center", top=1)
    assert center.box == pytest.approx((36 + 40, 40, 36 + 104, 104))


def window(probabilities: list[list[float]], boxes: list[list[float]]) -> WindowOutputs:
    return WindowOutputs(np.array(probabilities, np.float32), np.array(boxes)[:, None].repeat(3, axis=1))


def test_edges_in_swapped_order_are_those_of_the_same_box(store: Store) -> None:
    photo = np.zeros((100, 100, 3), np.uint8)
    plain, other = (Predictor(loaded(store, kind)).predict(photo, "center") for kind in (Known, Reversed))
    assert plain == other


def test_scores_add_up_over_windows_and_scales_and_classes_come_from_each_scales_best() -> None:
    here, there = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]
    first = window([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], [there, here])
    second = window([[0.1, 0.8, 0.1]], [here])
    labels, corners, scores = best_boxes([first, second], top=2)
    assert labels.tolist() == [1, 0]
    assert scores == pytest.approx([1.4, 0.7])
    assert corners == pytest.approx(np.array([here, there]))


def test_of_more_boxes_than_memory_has_room_for_the_surest_are_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predicted = window([[0.2, 0.4, 0.4], [0.9, 0.1, 0.0], [0.6, 0.2, 0.2]], 3 * [[0, 0, 1, 1]])
    assert best_boxes([predicted], top=1)[2] == pytest.approx([1.7])
    monkeypatch.setattr(localization, "MOST_MERGED", 2)
    assert best_boxes([predicted], top=1)[2] == pytest.approx([1.5])


def test_missing_classes_are_padded() -> None:
    labels, corners, scores = best_boxes([window([[0.7, 0.2, 0.1]], [[0, 0, 1, 1]])], top=5)
    assert labels.tolist() == [0, 1, 2, -1, -1]
    assert corners[3:].tolist() == [[0.0] * 4] * 2
    assert scores[3:].tolist() == [0.0, 0.0]


def test_a_split_is_located_in_the_stores_order_whatever_the_batch(store: Store) -> None:
    net = loaded(store, OverFeatLocalizer)
    task, views = Localization(net.config, 2), ViewSet("dense")
    whole, one = (
        predict_split(task, net, store, "val", views, InferenceOptions(batch_size=count)) for count in (64, 1)
    )
    assert (whole.labels == one.labels).all()
    assert whole.corners == pytest.approx(one.corners, abs=1e-4)
    assert list(whole.keys) == store.split("val").keys()
    turned = replace(net, classes=net.classes[::-1])
    found = predict_split(task, turned, store, "val", views)
    assert (found.labels == np.where(whole.labels < 0, -1, 1 - whole.labels)).all()


def test_errors_are_listed_with_those_of_the_baselines(store: Store) -> None:
    net = loaded(store)
    task = Localization(net.config, 2)
    found = task.metrics(predict_split(task, net, store, "val", ViewSet("center")), store)
    assert found.images == len(store.split("val"))
    assert set(found.baselines) == {"whole_image", "center_box_of_mean_size", "class_mean_box"}
    assert all(each.top1_errors == found.top1_errors for each in found.baselines.values())


def test_evaluate_keeps_and_reuses_boxes(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(store, tmp_path)
    words = ["evaluate", str(run.path), "--store", str(store.path), "--views", "center", "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["localization"]["top1_localization_error"] >= printed["localization"]["top1_error"]
    saved = run.path / "predictions" / "val-center-boxes.npz"
    written = saved.stat().st_mtime_ns
    assert main(words) == 0
    assert saved.stat().st_mtime_ns == written
    assert "class-mean box" in capsys.readouterr().out
    (entry,) = json.loads((run.path / "evaluation.json").read_text())
    assert entry["localization"] == printed["localization"]
    assert main([*words[:5], "ten", *words[6:], "--json"]) == 0
    assert "localization" not in json.loads(capsys.readouterr().out)
    assert main([*words[:4], *words[6:], "--json"]) == 0
    by_default = json.loads(capsys.readouterr().out)
    assert by_default["views"] == "dense" and by_default["localization"]


def test_predict_prints_and_draws_boxes_and_continues_after_an_unreadable_file(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 100 * 80 - 1
    )  # Pillow warns about more: the warning is suppressed
    run = run_of(store, tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_text("no photo")
    words = ["predict", str(tmp_path / "broken.png"), str(tmp_path / "photo.png"), "--model", str(run.path)]
    assert main([*words, "--json", "--out", str(tmp_path / "drawn"), "--device", "cpu"]) == 3
    broken, good = json.loads(capsys.readouterr().out)
    assert "error" in broken
    for each in good["objects"]:
        x0, y0, x1, y1 = each["box"]
        assert 0 <= x0 <= x1 <= 100
        assert 0 <= y0 <= y1 <= 80
    assert Path(good["drawn"]).is_file()


def test_models_views_and_photos_without_boxes_are_refused(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="no boxes with --views ten"):
        Predictor(loaded(store)).predict([], "ten")
    with pytest.raises(CommandError, match="has no minimum score: only classifiers and detectors"):
        Predictor(loaded(store)).predict([], min_score=0.5)
    begun = override(recipes.get("overfeat-fast"), [*SETTINGS])
    net = replace(loaded(store), config=begun, model=nn.Identity())
    with pytest.raises(CommandError, match="overfeat-fast is a classifier; it predicts no boxes"):
        Localization(config(), 2).infer(net, (), [])
    warped = {**net.preprocessing.resized, "resize": "warp"}
    net = replace(loaded(store), preprocessing=replace(net.preprocessing, resized=warped))
    with pytest.raises(CommandError, match="warped or padded"):
        Predictor(net).predict([])


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_changed_box_is_noticed_though_predictions_are_saved(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    run, copy = run_of(store, tmp_path), shutil.copytree(store.path, tmp_path / "copy")
    words = ["evaluate", str(run.path), "--store", str(copy), "--views", "center", "--device", "cpu"]
    assert main(words) == 0
    (box,) = store.split(split).boxes(0)
    change_a_byte(copy / f"{split}-00000.arrow", np.float32(box.y1).tobytes())
    assert main(words) == 3
    assert f"{split}-00000.arrow is damaged (its hash differs" in capsys.readouterr().err
