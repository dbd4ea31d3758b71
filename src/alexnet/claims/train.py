"""Makes the runs that are missing: each with the loop of `alexnet train`, tested on training photos too."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from alexnet.claims.measure import ERROR, TRAINING_ERROR
from alexnet.claims.trial import DIVERGED, Trial
from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.data.subset import balanced, training_images
from alexnet.errors import WorkError
from alexnet.evaluation.metrics import count_errors, mean_nll, true_ranks
from alexnet.evaluation.predict import batches_seen
from alexnet.evaluation.score import SQUARES_AT_ONCE, score
from alexnet.evaluation.views import looks_for
from alexnet.files import write_whole
from alexnet.models.model_file import Loaded
from alexnet.runs import environment
from alexnet.runs.folder import RunFolder
from alexnet.training.loop import Progress, train
from alexnet.training.meter import LOWER_RATE

Evaluate = Callable[[nn.Module], Mapping[str, Any]]
VALIDATION, VIEWS = "val", "centre"


def train_trial(
    trial: Trial,
    device: str,
    command: Sequence[str],
    minutes: float | None,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Trains a run to its end, from where it was left; `device` is in words, `command` what was typed.

    A net whose loss is no number any more is noted as diverged, and is not tried again. Stopped after
    saving, at a signal or after `minutes`; other errors as `loop.train`.
    """
    run, store = trial.run, trial.store
    begun = run.config_file.is_file()
    if not begun:
        RunFolder.create(run.path, trial.config)
    if not run.environment_file.is_file():
        facts = environment.describe(device, store.digest, command, store=store.path.resolve().name)
        run.write_environment(facts)
    try:
        train(
            *(trial.config, store, run),
            evaluate=evaluation(trial.config, store),
            device=trial.device,
            resume=begun,
            minutes=minutes,
            progress=progress,
            say=say,
        )
    except WorkError as error:
        if LOWER_RATE not in str(error):
            raise
        write_whole(run.path / DIVERGED, f"{error}\n".encode())
        say(f"{trial.name} diverged: {error}")
    _keep_weights_alone(run)


def evaluation(config: RunConfig, store: Store) -> Evaluate:
    """Tests a net on the validation photos and on as many of those it learns from, both alike.

    One central view, without augmentation and dropout. Adds `training_error` and `training_nll` to what
    `alexnet train` logs.
    """
    preprocessing = Preprocessing.from_store(config.data, store)
    splits = {"": store.split(VALIDATION), "training": seen_in_training(config, store)}

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        net = Loaded(model, config, store.classes, preprocessing, {})
        ours, seen = (errors(net, split) for split in splits.values())
        return {
            "images": len(splits[""]),
            **ours,
            TRAINING_ERROR: seen[ERROR],
            "training_nll": seen["nll"],
        }

    return evaluate


def seen_in_training(config: RunConfig, store: Store) -> Split:
    """As many of a run's training photos as there are validation photos, or all: balanced, the same ones."""
    images = training_images(store, config.data)
    return images.part(np.sort(balanced(images)[: len(store.split(VALIDATION))]))


def errors(net: Loaded, split: Split) -> dict[str, Any]:
    """`top1_error`, `top5_error` (None with five classes or fewer) and `nll` of all images of a split.

    WorkError where an answer is no number.
    """
    looks, labels = looks_for(net, VIEWS), split.labels.astype(np.int64)
    probabilities = np.empty((len(split), len(net.classes)), np.float32)
    for numbers, (squares,) in batches_seen(net, split, looks, SQUARES_AT_ONCE):
        probabilities[numbers] = score(net, looks, [torch.from_numpy(squares)])
    if not np.isfinite(probabilities).all():
        raise WorkError(f"the net's answers to the {split.name} images are not finite; {LOWER_RATE}")
    ranks = true_ranks(probabilities, labels)
    few = probabilities.shape[1] <= 5
    return {
        "top1_error": count_errors(ranks, 1) / len(split),
        "top5_error": None if few else count_errors(ranks, 5) / len(split),
        "nll": mean_nll(probabilities, labels),
    }


def _keep_weights_alone(run: RunFolder) -> None:
    """What only a run that goes on needs is dropped: it is several times as large as the weights."""
    last = (run.checkpoints / "last").resolve()
    for path in run.checkpoints.glob("step-*"):
        if path.resolve() != last:
            shutil.rmtree(path)
    best = run.checkpoints / "best"
    if best.is_symlink() and not best.exists():
        best.unlink()
    (last / "state.pt").unlink(missing_ok=True)
