"""Predictions of a detector for windows, a photo, a split, and on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from unit.data.store_makers import change_a_byte, make_store, row

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import RunConfig, override
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
from alexnet.models.overfeat import OverFeatDetector
from alexnet.runs.environment import Environment
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.detection import LEAST_PROBABILITY, Detection, objects_in_photo, window_precision
from alexnet.tasks.localization import WindowOutputs

SIDE, WINDOW = 96, 64
SETTINGS = (
    *("data.image_size=96", "data.input_size=80", "data.test_scales=[96]"),
    "model.variant=fast",
    "model.architecture.widths=[4,6,8,8,8,16,12]",
    "model.architecture.initialization=kaiming",
    "model.architecture.regression=[10,6]",
    "model.architecture.window=64",
)
HERE, THERE = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]


def config() -> RunConfig:
    return override(recipes.get("overfeat-fast-detection"), SETTINGS)


TASK = Detection(config(), 3)


class Known(OverFeatDetector):
    """Predicts class 2 in the middle of windows with a bright middle; all others are background."""

    def object_and_box_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = self.places(*images.shape[2:])
        step, half = self.map_step_pixels, self.crop // 2
        bright = (images[:, 0, half::step, half::step][:, :rows, :columns] > 0).float()
        logits = torch.zeros(len(images), 4, rows, columns)
        logits[:, 2], logits[:, 3] = 9 * bright, 9 * (1 - bright)
        boxes = torch.tensor([0.25, 0.25, 0.75, 0.75])[None, None, :, None, None]
        return logits, boxes.expand(len(images), 3, 4, rows, columns)


def picture(i: int, j: int) -> np.ndarray:
    """(SIDE, SIDE, 3) black, but for the middle of the window at place (i, j)."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[32 + 16 * i, 32 + 16 * j] = 255
    return pixels


def pixels_at(i: int, j: int) -> list[int]:
    return [16 * j + 16, 16 * i + 16, 16 * j + 48, 16 * i + 48]


PLACES = ((0, 0), (1, 2), (2, 1), (0, 2))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    rows = [
        row(n, SIDE, image=picture(*place).tobytes(), boxes=(Box(2, *np.array(pixels_at(*place)) / SIDE),))
        for n, place in enumerate(PLACES)
    ]
    folder: Path = tmp_path_factory.mktemp("detected")
    return Store.open(make_store(folder / "store", {"train": rows, "val": rows}, SIDE))


def loaded(store: Store, kind: type[OverFeatDetector] = Known) -> ModelBundle:
    torch.manual_seed(0)
    model = kind(config().model.architecture, 3, 80).eval()
    return ModelBundle(model, config(), store.classes, Preprocessing.from_store(config().data, store), {})


def run_of(store: Store, folder: Path) -> RunDir:
    run, net = RunDir.create(folder / "run", config()), loaded(store, OverFeatDetector)
    run.write_environment(Environment())
    weights = run.checkpoints / "last" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    bundle.save(weights, bundle.ModelBundle(net.model, net.config, net.classes, net.preprocessing))
    return run


def test_photos_may_be_as_small_as_the_window_where_it_slides(store: Store) -> None:
    net = loaded(store)
    scaled = scaled_views(net, ViewSet("dense", (WINDOW,)))
    (found,) = TASK.infer(net, scaled, [torch.zeros(1, WINDOW, WINDOW, 3, dtype=torch.uint8)])
    assert found.labels.tolist() == []
    assert [each.scale for each in scaled] == [WINDOW]
    for views, scale, needed in (("dense", WINDOW - 1, WINDOW), ("center", WINDOW, 80)):
        with pytest.raises(CommandError, match=f"smaller than the {needed} pixels that the model needs"):
            scaled_views(net, ViewSet(views, (scale,)))


def window(probabilities: list[list[float]], boxes: list[list[float]]) -> WindowOutputs:
    return WindowOutputs(np.array(probabilities, np.float32), np.array(boxes)[:, None].repeat(3, axis=1))


def test_windows_that_agree_become_one_object_and_background_none() -> None:
    first = window([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.0, 0.1, 0.9]], [THERE, HERE, HERE])
    second = window([[0.05, 0.9, 0.05]], [HERE])
    found = objects_in_photo([first, second], min_score=0.15)
    assert found.labels.tolist() == [1, 0, 1]
    assert found.scores == pytest.approx([1.5, 0.7, 0.2])
    assert found.corners == pytest.approx(np.array([HERE, THERE, THERE]))
    assert objects_in_photo([first, second], min_score=0.95).labels.tolist() == []


def test_objects_lie_within_the_photo() -> None:
    found = objects_in_photo([window([[0.9, 0.0, 0.1]], [[-0.5, 0.2, 0.5, 1.5]])])
    assert found.corners.tolist() == [[0, pytest.approx(0.2), 0.5, 1]]


@pytest.mark.parametrize("place", PLACES)
def test_an_object_is_found_where_its_window_is(store: Store, place: tuple[int, int]) -> None:
    net = loaded(store)
    (found,) = TASK.infer(net, (), [torch.from_numpy(picture(*place))[None]])
    assert found.labels.tolist() == [2]
    assert found.corners[0] * SIDE == pytest.approx(np.array(pixels_at(*place)))
    ((predicted,),) = Predictor(net).predict(picture(*place))
    assert (predicted.wnid, predicted.box) == (store.classes[2].wnid, pytest.approx(pixels_at(*place)))


def test_a_split_of_known_objects_is_found_with_precision_one(store: Store) -> None:
    found = predict_split(TASK, loaded(store), store, "val", ViewSet("dense"), InferenceOptions(batch_size=2))
    assert found.images.tolist() == [0, 1, 2, 3]
    measured = TASK.metrics(found, store)
    assert measured.mean_average_precision == 1
    assert [each.average_precision for each in measured.per_class] == [None, None, 1]


@pytest.mark.parametrize(("share", "precision"), [(1.0, 1.0), (0.8, 1.0), (0.65, 0.0)])
def test_windows_that_are_named_rightly_find_objects_as_large_as_they_are(
    tmp_path: Path, share: float, precision: float
) -> None:
    """In the middle of a window: its box overlaps the object's by the share's square."""
    half = share * WINDOW / 2
    middles = [np.array([16 * j + 32, 16 * i + 32]) for i, j in PLACES]
    boxes = [np.concatenate([middle - half, middle + half]) / SIDE for middle in middles]
    rows = [row(n, SIDE, boxes=(Box(n % 3, *box),)) for n, box in enumerate(boxes)]
    made = Store.open(make_store(tmp_path / "store", {"train": rows, "val": rows}, SIDE))
    found = window_precision(config(), made, "val", ViewSet("dense"))
    # Windows beside the object's, which show three quarters of it or more, lie around it alike or are merged.
    assert found == pytest.approx(precision, abs=0.2)


def test_labels_are_the_stores(store: Store) -> None:
    net = loaded(store)
    turned = ModelBundle(net.model, net.config, net.classes[::-1], net.preprocessing, {})
    assert set(predict_split(TASK, turned, store, "val", ViewSet("dense")).labels.tolist()) == {0}


def test_evaluate_keeps_and_reuses_objects(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(store, tmp_path)
    words = ["evaluate", str(run.path), "--store", str(store.path), "--views", "center", "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert 0 <= printed["detection"]["mean_average_precision"] <= 1
    assert printed["detection"]["objects"] == len(PLACES)
    assert printed["detection"]["precision_of_windows"] == 0  # which are too large to be their objects' boxes
    saved = run.path / "predictions" / "val-dense-objects.npz"
    written = saved.stat().st_mtime_ns
    assert main(words) == 0
    assert saved.stat().st_mtime_ns == written
    assert "average precision %" in capsys.readouterr().out


def test_predict_prints_and_draws_objects_and_continues_after_an_unreadable_file(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(store, tmp_path)
    Image.fromarray(picture(1, 1)).save(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_text("no photo")
    words = ["predict", str(tmp_path / "broken.png"), str(tmp_path / "photo.png"), "--model", str(run.path)]
    options = ["--min-score", str(LEAST_PROBABILITY), "--device", "cpu"]
    assert main([*words, *options, "--json", "--out", str(tmp_path / "drawn")]) == 3
    broken, good = json.loads(capsys.readouterr().out)
    assert "error" in broken
    assert Path(good["drawn"]).is_file()
    assert all(0 <= edge <= SIDE for each in good["objects"] for edge in each["box"])


def test_a_model_without_background_is_refused(store: Store) -> None:
    net = loaded(store)
    other = ModelBundle(nn.Identity(), net.config, net.classes, net.preprocessing, {})
    with pytest.raises(CommandError, match="has no class for background"):
        TASK.infer(other, (), [])
    with pytest.raises(CommandError, match="no objects with --views center: a detector needs dense"):
        Predictor(net).predict([], "center")


def test_a_changed_box_is_noticed_though_predictions_are_saved(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, copy = run_of(store, tmp_path), shutil.copytree(store.path, tmp_path / "copy")
    words = ["evaluate", str(run.path), "--store", str(copy), "--views", "center", "--device", "cpu"]
    assert main(words) == 0
    (box,) = store.split("val").boxes(0)
    change_a_byte(copy / "val-00000.arrow", np.float32(box.y1).tobytes())
    assert main(words) == 3
    assert "val-00000.arrow is damaged (its hash differs" in capsys.readouterr().err
