"""The features of all images of a split, cached as a file in the run directory.

`RUN/features/<split>-<layer>-<store>.npy` is float32 (N, D) in the store's order. The `.json` beside it holds
the digests of the weights and of the store, and is written last. Unfinished files end in `.part.npy`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.data.store import Split, Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import DEFAULTS, InferenceOptions, check_pixels, testing, view_batches
from alexnet.evaluation.views import positions_of, scaled_views
from alexnet.io import exclusive_lock, file_sha256, write_json, writing
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import activation_names, last_hidden_layer
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights

Vectors: TypeAlias = npt.NDArray[np.float32]
"""(N, D), often a file mapped into memory."""
IMAGES_PER_CHUNK = 2048
"""The file can be resumed after each chunk."""
DIGEST_LENGTH = 8
"""Number of digits of the store's digest in a file name."""


@dataclass(frozen=True)
class Origin:
    """Digests of the weights and of the store that a file of features was computed from."""

    weights_digest: str
    store_digest: str


def refuse_unknown(layer: str, model: nn.Module) -> None:
    """CommandError with the existing names where a model has no layer of that name."""
    if layer not in activation_names(model):
        raise CommandError(f"no layer {layer!r}; choose from: {', '.join(activation_names(model))}")


def features_of(
    run: RunDir,
    store: Store,
    split: str = "train",
    layer: str = "",
    options: InferenceOptions = DEFAULTS,
) -> Vectors:
    """(N, D) float32: the activations of `layer` for the central crop of every image, in the store's order.

    Reads the run's file if it was computed with the same weights on the same store. Otherwise computes it, or
    resumes an interrupted computation, with one batch in memory. Nothing is cached for an exported file. An
    empty `layer` is `last_hidden_layer`. CommandError for a layer or split that does not exist; DataError
    where the store was prepared differently from the model's training images.
    """
    weights = find_weights(run.path, options.checkpoint).resolve()  # training may move the link meanwhile
    net = bundle.load(weights, options.device)
    layer, part = layer or last_hidden_layer(net.model), store.split(split)
    check_pixels(net.preprocessing, store)
    work = partial(_extract, net, layer=layer, batch_size=options.batch_size, progress=options.progress)
    if run.is_exported:
        return work(part, allocate=_temporary_array)
    path = features_path(run.path, store, split, layer, options.checkpoint)
    origin = Origin(file_sha256(weights), store.digest)
    with writing(path), exclusive_lock(path.parent, wait=True):
        if _origin_of(path) == origin:
            options.progress(len(part))
        else:
            for stale in (_origin_path(path), graph_path(path)):
                stale.unlink(missing_ok=True)
            _compute_in_chunks(path, origin, part, work, options.progress)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _compute_in_chunks(
    path: Path, origin: Origin, split: Split, work: Callable[..., Vectors], progress: Callable[[int], None]
) -> None:
    """Writes the file and its origin; resumes where a process with the same origin was stopped."""
    unfinished = path.with_suffix(".part.npy")
    done = _num_done(unfinished, origin, len(split))
    if done:
        progress(done)
    for start in range(done, max(len(split), 1), IMAGES_PER_CHUNK):
        rows = np.arange(start, min(start + IMAGES_PER_CHUNK, len(split)))
        work(split.part(rows), allocate=partial(_rows_of_npy, unfinished, len(split), start))
        write_json(_origin_path(unfinished), {**asdict(origin), "done": start + len(rows)})
    unfinished.replace(path)
    _origin_path(unfinished).unlink()
    write_json(_origin_path(path), asdict(origin))


def features_path(run: Path, store: Store, split: str, layer: str, checkpoint: str = "last") -> Path:
    """The file of a run's features; its name contains the checkpoint if that is not `last`."""
    other = "" if checkpoint == "last" else f"-{checkpoint}"
    return run / "features" / f"{split}-{layer}{other}-{store.digest[:DIGEST_LENGTH]}.npy"


def graph_path(path: Path) -> Path:
    """The file of the search graph for a file of features; it is removed together with the features."""
    return path.with_suffix(".usearch")


def _extract(
    net: ModelBundle,
    split: Split,
    layer: str,
    *,
    allocate: Callable[[tuple[int, int]], Vectors],
    batch_size: int,
    progress: Callable[[int], None],
) -> Vectors:
    """The array (N, D) that `allocate` returned, filled with a layer's activations for the central crops.

    CommandError for an unknown layer or an empty split; WorkError if an activation is NaN or Inf.
    """
    refuse_unknown(layer, net.model)
    vectors: Vectors | None = None
    for rows, values in _activations(net, split, layer, batch_size):
        if vectors is None:
            vectors = allocate((len(split), values.shape[1]))
        vectors[rows] = values
        progress(len(values))
    if vectors is None:
        raise CommandError(f"split {split.name!r} has no images: choose another one")
    if isinstance(vectors, np.memmap):
        vectors.flush()
    return vectors


def _activations(
    net: ModelBundle, split: Split, layer: str, batch_size: int
) -> Iterator[tuple[list[int], Vectors]]:
    """Indices of images and (n, D) the layer's activations for them."""
    scaled, positions = scaled_views(net, ViewSet("center")), positions_of("center", net.preprocessing)
    for numbers, (squares,) in view_batches(net, split, scaled, batch_size):
        with testing(net.model) as device:
            inputs = net.preprocessing.test_input(torch.from_numpy(squares).to(device), positions)
            activations: dict[str, torch.Tensor] = net.model.activations(inputs)  # pyright: ignore[reportCallIssue]
            values = activations[layer].flatten(1).float().cpu().numpy()
        if not np.isfinite(values).all():
            raise WorkError(f"{layer} produced NaN or Inf: the weights are broken")
        yield numbers, values


def _rows_of_npy(path: Path, total: int, start: int, shape: tuple[int, int]) -> Vectors:
    """Rows of a file of `total` rows, which is created for the first ones."""
    if start:
        vectors: Vectors = np.load(path, mmap_mode="r+", allow_pickle=False)
    else:
        vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(total, shape[1]))
    return vectors[start : start + shape[0]]


def _temporary_array(shape: tuple[int, int]) -> Vectors:
    """An array on disk that is deleted with the object."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, mode="w+", shape=shape)


def _origin_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _num_done(unfinished: Path, origin: Origin, images: int) -> int:
    """The number of finished rows of an unfinished file; 0 if it has another origin or is truncated."""
    try:
        note = json.loads(_origin_path(unfinished).read_text(encoding="utf-8"))
        done, rows = int(note.pop("done")), len(np.load(unfinished, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, LookupError):
        return 0
    return done if note == asdict(origin) and rows == images else 0


def _origin_of(path: Path) -> Origin | None:
    """The origin of a file of features; None if the file is missing or truncated."""
    try:
        origin = Origin(**json.loads(_origin_path(path).read_text(encoding="utf-8")))
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError):
        return None
    return origin
