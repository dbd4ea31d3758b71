"""From run folders and model files to models that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from alexnet.analysis.saliency import last_maps
from alexnet.data.classes import check_same_classes, label_map
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.evaluation.predictor import Predictor, load
from alexnet.runs.provenance import provenance, training_progress
from alexnet.runs.run_dir import RunDir, members_of
from alexnet.web.further import places, saliency
from alexnet.web.model import Answers, Model


def open_models(paths: Sequence[Path], device: torch.device | str = "auto") -> list[Model]:
    """A model for each run folder, exported file and net of an ensemble, in order.

    CommandError where there is nothing to load or one is given twice; DataError where a file is broken.
    """
    found = members_of(paths)
    return [open_model(path, name, device) for path, name in zip(found, names_of(found), strict=True)]


def open_model(path: Path, name: str, device: torch.device | str = "auto") -> Model:
    """The model of one run folder or exported file, under that name."""
    classifier = load(path, device)
    return Model(name, classifier, about(path, classifier), answers_by_itself(classifier))


def answers_by_itself(classifier: Predictor) -> dict[str, Answers]:
    """What the net can say of a photo besides its class, with no other photos at hand."""
    found: dict[str, Answers] = {}
    for what, give in (("saliency", _saliency), ("localize", places)):
        # Without it: a classic pipeline, an exported file that hides its layers, a net that says no boxes.
        with suppress(CommandError):
            found[what] = give(classifier)
    return found


def _saliency(classifier: Predictor) -> Answers:
    last_maps(classifier)
    return saliency(classifier)


def names_of(paths: Sequence[Path]) -> list[str]:
    """The paths' own names, with their folder's before them where two are alike; CommandError if all is."""
    short = [path.resolve().name for path in paths]
    names = [
        name if short.count(name) == 1 else f"{path.resolve().parent.name}/{name}"
        for path, name in zip(paths, short, strict=True)
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CommandError(f"two models are named {twice[0]}: give one of them another name, or leave it out")
    return names


def check_classes(models: Sequence[Model], store: Store) -> None:
    """DataError where the store's classes are not those of every model; their order does not matter."""
    for model in models:
        what = f"the classes of {model.name} and those of {store.path}"
        if {each.wnid for each in model.classifier.classes} != {each.wnid for each in store.classes}:
            check_same_classes(model.classifier.classes, store.classes, what)
        label_map(store.classes, model.classifier.classes, what)


def about(path: Path, classifier: Predictor) -> dict[str, str]:
    """`trained` and `tested` for people, empty where nothing is known."""
    if path.is_file():
        known, unfinished = classifier.provenance, ""
    else:
        run = RunDir.open(path)
        known, unfinished = provenance(run), training_progress(run)
    return {"trained": _trained(known, unfinished), "tested": _tested(known)}


def _trained(known: Mapping[str, Any], unfinished: str) -> str:
    if "imported" in known:
        return f"imported from {known['imported']['as']}"
    if not known:
        return ""
    on = f" on {known['store']}" if known["store"] else ""
    epochs = f"{known['epochs']} epochs" if known["epochs"] is not None else "trained"
    return f"{epochs}{on}, seed {known['seed']}" + (f"; unfinished, at {unfinished}" if unfinished else "")


def _tested(known: Mapping[str, Any]) -> str:
    """The last error that was measured of it."""
    if not known.get("errors"):
        return ""
    entry = known["errors"][-1]
    return (
        f"{100 * entry['top1_error']:.1f} % top-1 error on {entry['images']:,} images of "
        f"{entry['store']} {entry['split']}"
    )
