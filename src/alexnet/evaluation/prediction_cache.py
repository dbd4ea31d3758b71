"""What a run's net says of a split is asked once, kept in the run's folder, and used again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from alexnet import distributed
from alexnet.data.store import Store
from alexnet.io import file_sha256
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.runs import predictions
from alexnet.runs.predictions import Kind
from alexnet.runs.run_dir import RunDir, find_weights


def asked_once(
    run: RunDir,
    store: Store,
    split: str,
    name: str,
    kind: type[Kind],
    ask: Callable[[ModelBundle], Kind],
    checkpoint: str,
    device: torch.device | str,
    progress: Callable[[int], None],
) -> Kind:
    """The run's saved answers of that name if these weights gave them of this store, else those of `ask`.

    New ones are saved; of an exported file nothing is. `checkpoint` is `last` or `best`. Under several
    processes all get the same. `progress` is told of all images where none had to be looked at.
    """
    weights = find_weights(run.path, checkpoint).resolve()  # stays while training points the link elsewhere
    if run.is_exported:
        return ask(bundle.load(weights, device))
    path = predictions.path_of(run.path, split, name, checkpoint)
    digest, saved = "", None
    if distributed.is_main():
        digest = file_sha256(weights)
        saved = predictions.load_fresh(path, kind, digest, store.digest)
    saved = distributed.broadcast_object(saved)
    if saved is not None:
        progress(len(saved.keys))
        return saved
    made = ask(bundle.load(weights, device))
    if distributed.is_main():
        made = replace(made, weights_digest=digest)
        predictions.save(made, path)
    return made
