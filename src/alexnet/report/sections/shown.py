"""The pictures of one run, exported file or ensemble, as parts of a report; what can't be drawn is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from matplotlib.figure import Figure

from alexnet.analysis.features import features_path, last_hidden_layer
from alexnet.data.store import Store
from alexnet.errors import AlexNetError
from alexnet.evaluation import ensemble, metrics, run_evaluation
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.prediction_cache import cached_predictions
from alexnet.evaluation.predictor import load
from alexnet.report.evaluation_tables import classes_table
from alexnet.report.page import Chapter, Missing, Part, Picture
from alexnet.report.plots.embed import embedded
from alexnet.report.sections import boxes, inside, trained
from alexnet.report.sections.opened import SPLIT, Drawn, Opened
from alexnet.report.sections.subject import Subject
from alexnet.runs.predictions import DetectionPredictions, Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.base import task_of
from alexnet.tasks.config import task_info

ProgressBar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""What is done, and how many images it takes: a context whose value is called as they are done."""
Keep = Callable[[str, Figure], None]
"""What is done with each figure beside the page; the name fits a file: `first-nearest-images`."""
MOST_SEARCHED = 200_000
"""Training images that are looked at for a report alone; of more, features that were kept are used."""


def drawn(make: Callable[[], Drawn], what: str, keep: Keep, caption: str = "", of: str = "") -> Part:
    """The picture, or a sentence that says why there is none; `of` is the only run that it shows."""
    try:
        figure, seen = make()
    except AlexNetError as error:
        return Missing(f"No {what}: {error}.")
    keep(re.sub(r"[^\w.]+", "-", f"{of} {what}").strip("-."), figure)
    return Picture(*embedded(figure), alt=seen, caption=caption)


@dataclass(frozen=True, eq=False)
class Shown:
    """A subject with the store of its photos, if one was found."""

    subject: Subject
    store: Store | None
    device: torch.device | str
    progress_bar: ProgressBar
    keep: Keep
    label: str
    """What the page calls it."""
    closely: bool = True
    """Whether to look inside the net too, which takes longest."""

    def chapters(self) -> list[Chapter]:
        """One for each kind of picture that there is something to say about."""
        made = [self._filters()] if self.subject.weights and self._is_net else []
        if self.store is None or not self._there:
            return [*made, *([] if self._detects else self._told_confusions())]
        if self._detects:
            return [*made, *self._boxes()]
        made += [self._predictions(self.store), *self._confusions(self.store), *self._boxes()]
        return [*made, *(self._inside(self.store) if self.closely and self._is_net else [])]

    def without(self) -> list[Part]:
        """A sentence for what makes the page poorer: no weights, or no store."""
        subject = self.subject
        if not self._there:
            lacks = "not all of its nets" if subject.kind == "ensemble" else "no checkpoint"
            return [Missing(f"{self.label} has {lacks}, so nothing its net sees is shown here.")]
        if self.store is None:
            name = subject.store_name
            where = f" (it was trained on {name})" if name else ""
            return [
                Missing(
                    f"No photos: type alexnet report {subject.typed} --store STORE --out DIR{where} for "
                    "predictions, nearest images, crops, activations, maps and boxes."
                )
            ]
        if subject.kind != "ensemble" and not self._is_net:
            sentence = (
                f"{self.label} is no net: no filters, nearest images and maps are drawn of its channels."
            )
            return [Missing(sentence)]
        if self._detects:
            sentence = (
                f"{self.label} answers window by window, of photos that show several objects. Most probable "
                "classes, confusions, nearest images, crops, what layers answer, where it looks and a map of "
                "photos are left out: they are of nets that see a photo as one, as that it began with."
            )
            return [Missing(sentence)]
        if subject.kind != "ensemble" and not self.closely:
            return [
                Missing(
                    "The page does not look inside this one, as that takes longest: type alexnet report "
                    f"{subject.typed} --out DIR for nearest images, crops, activations and maps of this one."
                )
            ]
        return []

    @property
    def _is_net(self) -> bool:
        """Whether there are layers to look into: an ensemble and a classic pipeline have none."""
        config = self.subject.config
        return config is not None and config.classic is None

    @property
    def _detects(self) -> bool:
        """Whether it finds all objects of photos by a window that it slides."""
        config = self.subject.config
        return config is not None and task_info(config.training.loss).detects_all

    @property
    def _there(self) -> bool:
        """Whether there is a net to ask; of an ensemble all of them."""
        subject = self.subject
        return bool(subject.weights or (subject.kind == "ensemble" and subject.is_whole))

    @cached_property
    def _on(self) -> Opened:
        assert self.store is not None
        return Opened(self.subject.path, self.store, self.device)

    @cached_property
    def entry(self) -> dict[str, Any] | None:
        """The evaluation that pictures are of: of the last checkpoint on the validation photos."""
        fits = [
            each
            for each in self.subject.entries
            if each["split"] == SPLIT and each["runs"][0]["checkpoint"] == "last" and each.get("per_class")
        ]
        return fits[0] if fits else None

    def _drawn(self, make: Callable[[], Drawn], what: str, caption: str = "") -> Part:
        return drawn(make, what, self.keep, caption, self.label)

    def _filters(self) -> Chapter:
        images = None if self.store is None or self.subject.kind == "ensemble" else self._on.training_images
        data = (
            f"{self.subject.store_name} train".strip()
            if self.subject.store_name
            else "training data not told"
        )

        def make() -> Drawn:
            classifier = self._on.classifier if self.store is not None else load(self.subject.path, "cpu")
            return trained.filters(self.label, classifier, data, images)

        return Chapter("First-layer filters", [self._drawn(make, "filters")])

    @cached_property
    def _made(self) -> Predictions:
        """What it says of the validation photos: as saved, or asked now."""
        assert self.store is not None
        entry = self.entry
        views = ViewSet.parse(entry["views"]) if entry else ViewSet("center")
        members = self.subject.members if self.subject.kind == "ensemble" else [self.subject.path]
        made = [self._asked(RunDir(member), self.store, views) for member in members]
        if self.subject.kind != "ensemble":
            return made[0]
        told = entry or {}
        return ensemble.mean(made, told.get("weights"), told.get("mean", "probabilities"))

    def _asked(self, run: RunDir, store: Store, views: ViewSet) -> Predictions:
        count = len(store.split(SPLIT))
        metrics.refuse_unlabeled(SPLIT, store.split(SPLIT).labels)
        with self.progress_bar(f"what {run.path.name} says of {count:,} photos", count) as advance:
            options = InferenceOptions(device=self.device, progress=advance)
            return run_evaluation.class_predictions(run, store, SPLIT, views, options)

    def _predictions(self, store: Store) -> Chapter:
        views = self.entry["views"] if self.entry else "center"
        caption = f"Answers by the views {views}: photos that are right, close, wrong, evenly of each kind."
        parts = [self._drawn(lambda: trained.examples(self._on, self._made), "predictions", caption)]
        if store.channels == 1:
            parts.append(self._drawn(lambda: trained.misread(self._on, self._made), "misread images"))
        return Chapter("Predictions", parts)

    def _confusions(self, store: Store) -> list[Chapter]:
        if self.entry is None:
            return []
        entry = self.entry

        def make() -> Drawn:
            return trained.confusions(self.label, entry, self._on, self._made)

        return [Chapter("Confusions", [self._drawn(make, "confusions"), classes_table(entry)])]

    def _told_confusions(self) -> list[Chapter]:
        """From the evaluation alone, without photos."""
        if self.entry is None:
            return []
        entry = self.entry
        make = partial(trained.confusions, self.label, entry)
        return [Chapter("Confusions", [self._drawn(make, "confusions"), classes_table(entry)])]

    def _boxes(self) -> list[Chapter]:
        """Where it says objects are, if it says so."""
        subject, config = self.subject, self.subject.config
        if subject.kind == "ensemble" or config is None or config.classic is not None:
            return []
        if not task_info(config.training.loss).predicts_boxes:
            return []
        title = "Objects found" if self._detects else "Where objects are"
        return [Chapter(title, [self._drawn(self._drawn_boxes, "boxes")])]

    def _drawn_boxes(self) -> Drawn:
        task = task_of(self._on.classifier.config, len(self._on.store.classes))
        tested = [ViewSet.parse(each["views"]) for each in self.subject.entries if "localization" in each]
        views = next((each for each in tested if not each.scales), ViewSet("center"))
        with self.progress_bar(f"boxes of {self.label}", len(self._on.photos)) as advance:
            found = cached_predictions(
                task,
                self.subject.run,
                self._on.store,
                SPLIT,
                task.own_views(views) or views,
                InferenceOptions(device=self.device, progress=advance),
            )
        if isinstance(found, DetectionPredictions):
            return boxes.detected(self._on, found, lambda photo: self._on.classifier.predict(photo)[0])
        return boxes.located(self._on, found)

    def _inside(self, store: Store) -> list[Chapter]:
        on, config = self._on, self._on.classifier.config
        crops: list[Chapter] = []
        if config.data.input_size < store.side:
            crops.append(Chapter("Ten crops", [self._drawn(partial(inside.ten_crops, on), "ten crops")]))
        return [
            Chapter("Nearest training images", [self._drawn(self._neighbors, "nearest images")]),
            *crops,
            Chapter("What its layers answer", [self._drawn(partial(inside.activations, on), "activations")]),
            Chapter("Where it looks", [self._drawn(partial(inside.saliency, on), "maps of where it looks")]),
            Chapter("Map of the test images", [self._drawn(self._map, "map")]),
        ]

    def _neighbors(self) -> Drawn:
        on, images = self._on, len(self._on.store.split("train"))
        layer = last_hidden_layer(on.classifier.model)
        if images > MOST_SEARCHED and not features_path(on.path, on.store, "train", layer).is_file():
            raise AlexNetError(
                f"{images:,} training images take long; type alexnet similar PHOTO --model "
                f"{self.subject.typed} --store {on.store.path} once, which keeps their features, then this "
                "again"
            )
        with self.progress_bar(f"{layer} of {images:,} training images", images) as advance:
            return inside.neighbors(on, advance)

    def _map(self) -> Drawn:
        with self.progress_bar(f"map of {len(self._on.photos):,} photos", len(self._on.photos)) as advance:
            return inside.photo_map(self._on, advance)
