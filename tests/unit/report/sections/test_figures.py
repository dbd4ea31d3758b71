"""Figures of a run, drawn from a tiny model and store."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.figure import Figure
from torch import nn

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import RunConfig, override
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.progress import no_progress_bar
from alexnet.report.build import build_report
from alexnet.report.comparison import comparison_rows
from alexnet.report.sections import evaluation, internals
from alexnet.report.sections.model import ModelFigures, Options
from alexnet.report.sections.subjects import Drawn, OpenModel, Subject
from alexnet.runs import predictions
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import read_results
from alexnet.runs.run_dir import RunDir


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny model, tested."""
    made = tiny.run(tmp_path_factory.mktemp("runs") / "small", store, *tiny.TOWERS).path
    assert main(["evaluate", str(made), "--store", str(store.path), "--views", "center", "--json"]) == 0
    return made


@pytest.fixture(scope="module")
def on(run, store) -> OpenModel:
    return OpenModel(run, store)


def test_names_are_told_apart_by_as_many_folders_as_needed(tmp_path: Path) -> None:
    places = ["a/models/seed-0", "b/models/seed-0", "a/models/seed-1", "b/other/seed-1", "alone"]
    assert evaluation.distinct_names([tmp_path / place for place in places]) == [
        "a/models/seed-0",
        "b/models/seed-0",
        "models/seed-1",
        "other/seed-1",
        "alone",
    ]


def test_figures_are_of_the_evaluation_on_the_photos_that_are_shown(
    run: Path, store: Store, tmp_path: Path
) -> None:
    (result,) = read_results(run)
    other = replace(result, store_digest="of another store", split="test")
    subject = Subject(run, run, "run", [other, result])
    options = Options("cpu", no_progress_bar, lambda name, figure: None)
    shown = ModelFigures(subject, store, options, "small")
    assert (shown.split, shown.result) == ("val", result)
    assert ModelFigures(replace(subject, results=[other]), store, options, "small").result is None


def predictions_of(on: OpenModel) -> Predictions:
    return predictions.load(predictions.path_of(on.path, "val", "center"))


def confusions(on: OpenModel) -> Drawn:
    (result,) = read_results(on.path)
    return evaluation.confusions(on.name, result, on, predictions_of(on))


@pytest.mark.parametrize(
    ("draw", "images"),
    [
        (internals.neighbors, 48),
        (internals.ten_crops, 1),
        (internals.activations, 1),
        (internals.saliency, 5),
        (internals.photo_map, 21),
        (lambda on: evaluation.examples(on, predictions_of(on)), 21),
        (confusions, 21),
        (evaluation.some_predictions, 21),
        (lambda on: evaluation.filters("small", on.classifier, "store train", on.training_images), 48),
        (lambda on: evaluation.error_bars(comparison_rows([on.path])), 21),
    ],
)
def test_each_figure_names_the_run_the_data_and_the_number_of_images(on, draw, images) -> None:
    figure, alt_text = draw(on)
    title = figure.get_suptitle()
    assert title.startswith("small") and "store" in title
    assert title.endswith(f"{images} image{'s' if images > 1 else ''}")
    assert len(alt_text.split()) > 8 and alt_text.endswith(".")


def test_ties_are_mistakes_as_in_the_errors(on) -> None:
    made = predictions_of(on)
    tied = replace(made, probabilities=np.full_like(made.probabilities, 1 / len(made.classes)))
    assert evaluation.mistakes(on, tied).alt_text.startswith("The 21 misclassified images of 21,")


def test_the_mean_of_the_crops_is_the_prediction_with_ten_crops(on) -> None:
    axes = internals.ten_crops(on).figure.axes[0]
    photo = np.asarray(axes.images[0].get_array())
    ((_, name, probability),) = on.classifier.predict([photo], views="ten", top=1)[0]
    assert f"{name} {probability:.2f}" in axes.get_title()


def test_all_layers_of_the_model_have_a_row(on) -> None:
    figure, alt_text = internals.activations(on)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert set(on.classifier.model.layer_names) <= set(words)
    assert all(layer in alt_text for layer in on.classifier.model.layer_names)


def test_errors_are_listed_below_the_published_ones(run) -> None:
    figure, alt_text = evaluation.error_bars(comparison_rows([run]))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[-1] == f"{tiny.RECIPE}, store val, center"
    assert names[-1] in alt_text


def config_of(loss: str) -> RunConfig:
    """The configuration of a tiny model that is trained by this loss."""
    recipes_of_boxes = {"boxes": "overfeat-fast-localization", "objects": "overfeat-fast-detection"}
    if loss not in recipes_of_boxes:
        return tiny.config()
    name = recipes_of_boxes[loss]
    return override(recipes.get(name), tiny.box_settings(name))


@pytest.mark.parametrize("loss", ["boxes", "objects"])
def test_models_of_boxes_have_no_bars_next_to_errors_of_classes(run, tmp_path, loss) -> None:
    placing = RunDir(shutil.copytree(run, tmp_path / "placing"))
    placing.write_config(config_of(loss))
    kept: dict[str, Figure] = {}
    page = build_report([run, placing.path], detailed=0, keep=kept.__setitem__)
    ours = [bar for bar in kept["bars-of-errors"].axes[0].patches if not bar.get_hatch()]
    assert len(ours) == 1
    assert "The errors of placing above are those of classes alone" in page
    kept.clear()
    assert "errors of placing above" in build_report([placing.path], detailed=0, keep=kept.__setitem__)
    assert "bars-of-errors" not in kept
    assert "of classes alone. Their" not in build_report([run], detailed=0)


def test_curves_are_titled_with_data_and_validation_images(run, tmp_path) -> None:
    for number in range(5):
        shutil.copytree(run, tmp_path / f"{number}" / "same")
        lines = [
            {"event": "train", "step": 9, "epoch": 0, "loss": 2.0, "error": 0.9},
            {"event": "validation", "step": 18, "epoch": 1, "top1_error": 0.5 + number / 100, "images": 21},
        ]
        log = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{number}" / "same" / "metrics.jsonl").write_text(log)
    figure, alt_text = evaluation.curves([tmp_path / f"{number}" / "same" for number in range(5)])
    assert figure.get_suptitle() == "5 runs \N{EN DASH} store val, 21 images"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"{number}/same" for number in range(5)]
    assert "4/same: top-1 error 54.0 %" in alt_text
    assert evaluation.curves([run]).figure.get_suptitle().startswith("small")


def test_curves_name_the_error_that_a_run_logs(run, tmp_path) -> None:
    line = {"event": "validation", "step": 18, "epoch": 1, "top1_error": 0.5, "images": 21}
    for loss in ("cross-entropy", "objects"):
        folder = RunDir(shutil.copytree(run, tmp_path / loss))
        folder.metrics_file.write_text(json.dumps(line) + "\n")
        folder.write_config(config_of(loss))
    figure, alt_text = evaluation.curves([tmp_path / "cross-entropy", tmp_path / "objects"])
    labels = [axes.get_ylabel() for axes in figure.axes[1::2]]
    assert labels == ["top-1 error, one view", "1 - mean average precision, whole photos"]
    assert "objects: 1 - mean average precision 50.0 %" in alt_text
    assert "cross-entropy: top-1 error 50.0 %" in alt_text


def test_kernels_of_any_first_layer_are_drawn_and_classic_pipelines_have_none(on, monkeypatch) -> None:
    figure, alt_text = evaluation.filters("small", on.classifier, "store train", None)
    assert figure.get_suptitle() == "small \N{EN DASH} store train"
    assert "2 groups" in alt_text
    monkeypatch.setattr(on.classifier, "_bundle", replace(on.classifier.bundle, model=nn.Linear(2, 2)))
    with pytest.raises(CommandError, match="no kernels"):
        evaluation.filters("small", on.classifier, "store train", None)
