"""The figures of one run, exported file, ensemble or results; a figure that fails becomes a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from matplotlib.figure import Figure

from alexnet.analysis.features import features_path
from alexnet.data.photos import Photo
from alexnet.data.store import Store
from alexnet.errors import AlexNetError
from alexnet.evaluation import ensemble, metrics, run_evaluation
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.prediction_cache import cached_predictions
from alexnet.evaluation.predictor import load
from alexnet.models.registry import last_hidden_layer
from alexnet.progress import ProgressBar
from alexnet.report.comparison import evaluated_predictions
from alexnet.report.evaluation_tables import classes_table, mistakes_table
from alexnet.report.page import Missing, Part, Picture, Section
from alexnet.report.plots.confusions import CLASSES_WITH_COUNTS
from alexnet.report.plots.output import embedded
from alexnet.report.plots.predictions import KINDS
from alexnet.report.plots.style import figure_title
from alexnet.report.sections import boxes, evaluation, internals
from alexnet.report.sections.subjects import SPLIT, Drawn, OpenModel, Subject
from alexnet.runs import predictions
from alexnet.runs.calibration import Calibration, describe_calibration, read_calibration
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import EvalResult, ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.base import BoxPrediction, task_of
from alexnet.tasks.config import task_info

Keep = Callable[[str, Figure], None]
"""Receives each figure for separate files, with a name for the file: `first-nearest-images`."""
MOST_SEARCHED = 200_000
"""Largest number of training images for which a report computes features; for more, they must exist
already."""


def drawn(make: Callable[[], Drawn], what: str, keep: Keep, caption: str = "", of: str = "") -> Part:
    """The picture, or a sentence that explains why there is none; `of` is the only run that it shows."""
    try:
        figure, alt_text = make()
        picture = embedded(figure)
    except AlexNetError as error:
        return Missing(f"No {what}: {error}.")
    except _NOT_DRAWN as error:  # one figure that fails costs no other
        reason = str(error).partition("\n")[0][:200]
        return Missing(f"No {what}: it could not be drawn ({type(error).__name__}: {reason}).")
    keep(re.sub(r"[^\w.]+", "-", f"{of} {what}").strip("-."), figure)
    return Picture(*picture, alt=alt_text, label=", ".join(filter(None, (of, what))), caption=caption)


_NOT_DRAWN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, MemoryError)
"""What numpy, scikit-learn and matplotlib raise for values that they cannot show."""


@dataclass(frozen=True)
class Options:
    """How figures are made."""

    device: torch.device | str
    progress_bar: ProgressBar
    keep: Keep


@dataclass(frozen=True, eq=False)
class ModelFigures:
    """The figures of a subject, with the store of its photos if one was found."""

    subject: Subject
    store: Store | None
    options: Options
    label: str
    """Its name on the page."""
    detailed: bool = True
    """Whether to show what the model computes, which takes longest."""

    def sections(self) -> list[Section]:
        """One for each kind of figure that this subject has."""
        made = [self._filters()] if self.subject.weights and self._is_network else []
        if self.store is None or not self._has_model:
            examples = [self._predictions(self.store)] if self.store and self._saved else []
            shown = [*examples, *self._confusions(), *self._calibration()] if self._has_class_figures else []
            return [*made, *shown]
        if not self._has_class_figures:
            return [*made, *self._boxes()]
        made += [self._predictions(self.store), *self._confusions(), *self._calibration(), *self._boxes()]
        return [*made, *(self._internals(self.store) if self.detailed and self._is_network else [])]

    def missing(self) -> list[Part]:
        """A sentence on what the page lacks for this subject, why, and what to type to get it."""
        subject = self.subject
        if subject.kind == "results":
            return self._missing_of_results()
        if not self._has_model:
            lacks = "not all of its models" if subject.kind == "ensemble" else "no checkpoint"
            return [Missing(f"{self.label} has {lacks}, so no figures of predictions are shown.")]
        if self.store is None:
            name = subject.store_name
            where = f" (it was trained on {name})" if name else ""
            return [
                Missing(
                    f"No photos: type alexnet report {subject.original} --store STORE --out DIR{where} to "
                    "get predictions, nearest images, crops, activations, saliency maps and boxes."
                )
            ]
        if subject.kind != "ensemble" and not self._is_network:
            sentence = (
                f"{self.label} is a classic pipeline, not a network: it has no filters, nearest images and "
                "saliency maps."
            )
            return [Missing(sentence)]
        if self._detects:
            sentence = (
                f"{self.label} is a detector: it classifies windows of photos with several objects. Figures "
                "that are about one class per photo are left out (most probable classes, confusions, nearest "
                "images, crops, activations, saliency, map of the images); make a report of the classifier "
                "that it was initialized from."
            )
            return [Missing(sentence)]
        if not self.classifies:
            sentence = (
                f"{self.label} was not trained to predict classes: figures of classes are left out; its "
                "numbers are in the section Errors."
            )
            return [Missing(sentence)]
        if subject.kind != "ensemble" and not self.detailed:
            return [
                Missing(
                    "The slowest figures are left out for this model: type alexnet report "
                    f"{subject.original} --out DIR to get its nearest images, crops, activations and maps."
                )
            ]
        return []

    def _missing_of_results(self) -> list[Part]:
        lacks: list[Part] = [
            Missing(
                f"{self.label} has results and predictions, but is no run: configuration, training curves, "
                "filters, nearest images, crops, activations and saliency maps are only shown of runs."
            )
        ]
        if self.store is None:
            command = f"alexnet report {self.subject.original} --store STORE --out DIR"
            tested = f" (it was tested on {self.subject.store_name})"
            lacks.append(Missing(f"No photos: type {command}{tested} to see them with its predictions."))
        elif self._saved is None:
            lacks.append(
                Missing(
                    f"No photos: there are no predictions for those of {self.store.path.name}; it was tested "
                    f"on {self.subject.store_name}."
                )
            )
        return lacks

    @cached_property
    def _saved(self) -> Predictions | None:
        """The predictions behind results without a run."""
        if self.subject.kind != "results" or self.result is None:
            return None
        return evaluated_predictions(self.subject.path, self.result)

    @property
    def _is_network(self) -> bool:
        """Whether it has layers to show: an ensemble and a classic pipeline have none."""
        config = self.subject.config
        return config is not None and config.classic is None

    @property
    def _detects(self) -> bool:
        """Whether it is a detector."""
        config = self.subject.config
        return config is not None and task_info(config.training.loss).detects_all

    @property
    def classifies(self) -> bool:
        """Whether its outputs are class probabilities; unless something else is known, they are."""
        config = self.subject.config
        if config is None:
            return all(each.classifies for each in self.subject.results)
        return task_info(config.training.loss).classifies

    @property
    def _has_class_figures(self) -> bool:
        """Whether figures about one class per photo are made."""
        return self.classifies and not self._detects

    @property
    def _has_model(self) -> bool:
        """Whether there are weights; of an ensemble those of all members."""
        subject = self.subject
        return bool(subject.weights or (subject.kind == "ensemble" and subject.is_whole))

    @property
    def _has_calibration(self) -> bool:
        """Whether a calibration may be in its directory: not in a file, and only for all models together."""
        return self.subject.kind == "run" or (self.subject.kind == "ensemble" and self.subject.is_whole)

    @cached_property
    def _on(self) -> OpenModel:
        assert self.store is not None
        return OpenModel(self.subject.path, self.store, self.options.device, self.split)

    @cached_property
    def _results(self) -> list[EvalResult]:
        """The evaluations on the photos of the store; without a store, all."""
        digest = "" if self.store is None else self.store.digest
        return [each for each in self.subject.results if not digest or each.store_digest in ("", digest)]

    @property
    def split(self) -> str:
        """The split whose photos are shown: that of all evaluations, such as `test` of a fit, else `val`."""
        tested = {each.split for each in self._results}
        return tested.pop() if len(tested) == 1 else SPLIT

    @cached_property
    def result(self) -> EvalResult | None:
        """The evaluation that figures show: of the last checkpoint on the photos that are shown."""
        fits = [
            each
            for each in self._results
            if each.split == self.split and each.runs[0].checkpoint == "last" and each.per_class
        ]
        return fits[0] if fits else None

    @property
    def _views(self) -> ViewSet:
        """Those of the evaluation; without one, those that `evaluate` uses by default."""
        if self.result:
            return self.result.views
        return run_evaluation.default_views_of([self.subject.path])

    def _drawn(self, make: Callable[[], Drawn], what: str, caption: str = "") -> Part:
        return drawn(make, what, self.options.keep, caption, self.label)

    def _filters(self) -> Section:
        name = self.subject.store_name
        data = f"{name} train" if name else "training data unknown"

        def make() -> Drawn:
            if self.store is None:
                return evaluation.filters(self.label, load(self.subject.path, "cpu"), data, None)
            trained_on = self.store.digest == self.subject.store_digest and "train" in self.store.splits
            images = self._on.training_images if trained_on else None
            return evaluation.filters(self.label, self._on.classifier, data, images)

        return Section("First-layer filters", [self._drawn(make, "filters")])

    @cached_property
    def _made(self) -> Predictions:
        """Its predictions for the photos that are shown: saved ones, or computed now."""
        assert self.store is not None
        if self._saved is not None:
            return self._saved
        members = self.subject.members if self.subject.kind == "ensemble" else [self.subject.path]
        made = [self._predictions_of(RunDir(member), self.store) for member in members]
        if self.subject.kind != "ensemble":
            return made[0]
        result = self.result
        weights, mean = (result.weights, result.mean) if result else (None, None)
        return ensemble.mean(made, weights, mean or "probabilities")

    def _predictions_of(self, run: RunDir, store: Store) -> Predictions:
        split, views = self.split, self._views
        count = len(store.split(split))
        metrics.refuse_unlabeled(split, store.split(split).labels)
        with self.options.progress_bar(f"predictions of {run.path.name}", count) as advance:
            options = InferenceOptions(device=self.options.device, progress=advance)
            return run_evaluation.class_predictions(run, store, split, views, options)

    def _predictions(self, store: Store) -> Section:
        caption = f"Views: {self._views}. Evenly chosen: {KINDS}."
        parts = [self._drawn(lambda: evaluation.examples(self._on, self._made), "predictions", caption)]
        if store.channels == 1:
            parts.append(
                self._drawn(lambda: evaluation.mistakes(self._on, self._made), "misclassified images")
            )
        else:
            parts.append(
                self._drawn(
                    lambda: evaluation.confident_mistakes(self._on, self._made), "most confident mistakes"
                )
            )
        return Section("Predictions", parts)

    def _confusions(self) -> list[Section]:
        """The most frequent confusions, with photos if there is a model and a store, else from the evaluation
        alone; for not too many classes the whole matrix; recall and precision; the most confident mistakes.
        """
        result = self.result
        if result is None:
            return []

        def make() -> Drawn:
            if self.store is None or not (self._has_model or self._saved):
                return evaluation.confusions(self.label, result)
            return evaluation.confusions(self.label, result, self._on, self._made)

        parts = [self._drawn(make, "confusions"), *self._matrix(result), classes_table(result)]
        parts += [mistakes_table(result, len(result.mistakes))] if result.mistakes else []
        return [Section("Confusions", parts)]

    def _matrix(self, result: EvalResult) -> list[Part]:
        saved = evaluated_predictions(self.subject.path, result)
        if saved is None or len(saved.classes) > CLASSES_WITH_COUNTS:
            return []
        return [
            self._drawn(
                lambda: evaluation.whole_confusion_matrix(self.label, result, saved), "confusion matrix"
            )
        ]

    def _calibration(self) -> list[Section]:
        """How often predictions of each confidence are right, before and after the calibration of the run."""
        found = read_calibration(self.subject.run) if self._has_calibration else None
        if found is not None:
            made, store = self._calibrated(found), found.store
            notes: list[Part] = [*describe_calibration(found)]
        elif self.result is not None:
            made, store = evaluated_predictions(self.subject.path, self.result), self.result.store
            command = f"alexnet calibrate {self.subject.original} --store STORE"
            notes = (
                [Missing(f"Its probabilities are not calibrated: type {command}.")]
                if self.subject.kind in ("run", "ensemble")
                else []
            )
        else:
            return []
        if made is None:
            return []
        title = figure_title(self.label, f"{store} {made.split}, views {made.views}", len(made.labels))
        figure = self._drawn(partial(evaluation.calibration, title, made, found), "calibration")
        return [Section("Calibration", [figure, *notes])]

    def _calibrated(self, found: Calibration) -> Predictions | None:
        """The saved predictions that were calibrated, or their mean; None if they no longer exist."""
        path = self.subject.path
        runs = [path / each for each in found.predicted_by] or self.subject.members or [path]
        files = [predictions.path_of(run, found.split, found.views) for run in runs]
        if not all(file.is_file() for file in files):
            return None
        saved = [predictions.load(file) for file in files]
        made = saved[0] if len(saved) == 1 else ensemble.mean(saved)
        return made if made.store_digest == found.store_digest else None

    def _boxes(self) -> list[Section]:
        """Predicted boxes, of models that predict any."""
        subject, config = self.subject, self.subject.config
        if subject.kind == "ensemble" or config is None or config.classic is not None:
            return []
        task = task_info(config.training.loss)
        return [Section(task.title, [self._drawn(self._drawn_boxes, "boxes")])] if task.predicts_boxes else []

    def _drawn_boxes(self) -> Drawn:
        on, images = self._on, len(self._on.photos)
        task = task_of(on.classifier.config, len(on.store.classes))
        evaluated = (task.own_views(each.views) for each in self.subject.results if not each.views.scales)
        center = ViewSet("center")
        views = next(filter(None, evaluated), task.own_views(center) or center)
        with self.options.progress_bar(f"boxes of {self.label}", images) as advance:
            found = cached_predictions(
                task,
                self.subject.run,
                on.store,
                on.split,
                views,
                InferenceOptions(device=self.options.device, progress=advance),
            )
        return boxes.predicted_boxes(on, found, self._shown_to_users)

    def _shown_to_users(self, photo: Photo) -> list[BoxPrediction]:
        """What `alexnet predict` prints for the photo."""
        (found,) = self._on.classifier.predict(photo)
        return [each for each in found if isinstance(each, BoxPrediction)]

    def _internals(self, store: Store) -> list[Section]:
        on, config = self._on, self._on.classifier.config
        crops: list[Section] = []
        if config.data.input_size < store.side:
            crops.append(Section("Ten crops", [self._drawn(partial(internals.ten_crops, on), "ten crops")]))
        activations = self._drawn(partial(internals.activations, on), "activations")
        return [
            Section("Nearest training images", [self._drawn(self._neighbors, "nearest images")]),
            *crops,
            Section("Activations", [activations]),
            Section("Saliency", [self._drawn(partial(internals.saliency, on), "saliency maps")]),
            Section("Map of the test images", [self._drawn(self._map, "map")]),
        ]

    def _neighbors(self) -> Drawn:
        on, images = self._on, len(self._on.store.split("train"))
        layer = last_hidden_layer(on.classifier.model)
        if images > MOST_SEARCHED and not features_path(on.path, on.store, "train", layer).is_file():
            raise AlexNetError(
                f"computing features of {images:,} training images takes long: type alexnet similar PHOTO "
                "--model "
                f"{self.subject.original} --store {on.store.path} once, which saves them, then this command "
                "again"
            )
        with self.options.progress_bar(f"{layer} of {images:,} training images", images) as advance:
            return internals.neighbors(on, advance)

    def _map(self) -> Drawn:
        images = len(self._on.photos)
        with self.options.progress_bar(f"map of {images:,} photos", images) as advance:
            return internals.photo_map(self._on, advance)
