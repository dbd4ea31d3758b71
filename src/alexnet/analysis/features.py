"""The features of all images of a split, as a file in the run's folder: no net runs twice for them.

`RUN/features/<split>-<layer>-<store>.npy` is float32 (N, D) in the store's order; the `.json` beside it says
which weights made it, of which store, and is written last. What is on its way ends in `.part.npy`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.data.store import Split, Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import BATCH_SIZE, check_pixels, testing, view_batches
from alexnet.evaluation.views import positions_of, scaled_views
from alexnet.io import exclusive_lock, file_sha256, write_json, writing
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights

Vectors: TypeAlias = npt.NDArray[np.float32]
"""(N, D), often a file mapped into memory."""
LOGITS = "logits"
IMAGES_A_PIECE = 2048
"""After so many the file is safe as far as it is."""
DIGITS_NAMED = 8
"""Of the store's digest in a file's name."""


@dataclass(frozen=True)
class Origin:
    """What a file of features is made of: digests of the weights and of the store."""

    weights_digest: str
    store_digest: str


def last_hidden_layer(model: nn.Module) -> str:
    """The layer whose answer the last one reads: `fc7` of AlexNet, `F6` of LeNet-5.

    CommandError where there is none: a classic pipeline, or an exported file that hides its layers.
    Source: section 6 ("the last, 4096-dimensional hidden layer").
    """
    names = layers_of(model)
    if LOGITS in names[1:]:
        return names[names.index(LOGITS) - 1]
    others = [name for name in names if name != LOGITS]
    wanted = f"name one with --layer: {', '.join(others)}" if others else "give its run or .safetensors file"
    raise CommandError(f"this model has no last hidden layer: {wanted}")


def layers_of(model: nn.Module) -> tuple[str, ...]:
    """The names of what a model's `activations` gives, in order."""
    return tuple(cast("tuple[str, ...]", model.layer_names))


def refuse_unknown(layer: str, model: nn.Module) -> None:
    """CommandError, which names those there are, where a model has no layer of that name."""
    if layer not in layers_of(model):
        raise CommandError(f"no layer {layer!r}; there are {', '.join(layers_of(model))}")


def features_of(
    run: RunDir,
    store: Store,
    split: str = "train",
    layer: str = "",
    checkpoint: str = "last",
    device: torch.device | str = "cpu",
    images_at_once: int = BATCH_SIZE,
    progress: Callable[[int], None] = lambda count: None,
) -> Vectors:
    """(N, D) float32: what `layer` says of the central view of every image of a split, in the store's order.

    The run's file is used if the same weights made it on the same store; else it is made, or gone on with
    where that was stopped, with no more in memory than a batch. Of an exported file nothing is kept. An empty
    `layer` is `last_hidden_layer`. `progress` is called with numbers of images. CommandError for a layer or
    split that does not exist; DataError where the store was prepared otherwise than the net's training
    images.
    """
    weights = find_weights(run.path, checkpoint).resolve()  # stays while training points the link elsewhere
    net = bundle.load(weights, device)
    layer, part = layer or last_hidden_layer(net.model), store.split(split)
    check_pixels(net.preprocessing, store)
    work = partial(extract, net, layer=layer, images_at_once=images_at_once, progress=progress)
    if run.is_exported:
        return work(part, make=_in_nameless_file)
    path = path_of(run.path, store, split, layer, checkpoint)
    origin = Origin(file_sha256(weights), store.digest)
    with writing(path), exclusive_lock(path.parent, wait=True):
        if _origin_of(path) == origin:
            progress(len(part))
        else:
            for of_others in (_note_of(path), graph_of(path)):
                of_others.unlink(missing_ok=True)
            _in_pieces(path, origin, part, work, progress)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _in_pieces(
    path: Path, origin: Origin, split: Split, work: Callable[..., Vectors], progress: Callable[[int], None]
) -> None:
    """Makes the file and its note, from where another process of the same origin was stopped."""
    unfinished = path.with_suffix(".part.npy")
    done = _done(unfinished, origin, len(split))
    if done:
        progress(done)
    for start in range(done, max(len(split), 1), IMAGES_A_PIECE):
        rows = np.arange(start, min(start + IMAGES_A_PIECE, len(split)))
        work(split.part(rows), make=partial(_rows_in_npy, unfinished, len(split), start))
        write_json(_note_of(unfinished), {**asdict(origin), "done": start + len(rows)})
    unfinished.replace(path)
    _note_of(unfinished).unlink()
    write_json(_note_of(path), asdict(origin))


def path_of(run: Path, store: Store, split: str, layer: str, checkpoint: str = "last") -> Path:
    """Where a run's features lie; those of another checkpoint than the last say so in their name."""
    other = "" if checkpoint == "last" else f"-{checkpoint}"
    return run / "features" / f"{split}-{layer}{other}-{store.digest[:DIGITS_NAMED]}.npy"


def graph_of(path: Path) -> Path:
    """Where the graph of a file of features lies, if somebody made one; it goes when the features do."""
    return path.with_suffix(".usearch")


def extract(
    net: ModelBundle,
    split: Split,
    layer: str,
    *,
    make: Callable[[tuple[int, int]], Vectors],
    images_at_once: int = BATCH_SIZE,
    progress: Callable[[int], None] = lambda count: None,
) -> Vectors:
    """The array that `make` gave for (N, D), filled with a layer's answers to the images' central views.

    CommandError for an unknown layer, or where there are no images; WorkError where an answer is no number.
    """
    refuse_unknown(layer, net.model)
    vectors: Vectors | None = None
    for rows, answers in _answers(net, split, layer, images_at_once):
        if vectors is None:
            vectors = make((len(split), answers.shape[1]))
        vectors[rows] = answers
        progress(len(answers))
    if vectors is None:
        raise CommandError(f"split {split.name!r} holds no images: name another")
    if isinstance(vectors, np.memmap):
        vectors.flush()
    return vectors


def _answers(
    net: ModelBundle, split: Split, layer: str, images_at_once: int
) -> Iterator[tuple[list[int], Vectors]]:
    """Numbers of images and (n, D) what the layer says of them."""
    scaled, positions = scaled_views(net, ViewSet("center")), positions_of("center", net.preprocessing)
    for numbers, (squares,) in view_batches(net, split, scaled, images_at_once):
        with testing(net.model) as device:
            inputs = net.preprocessing.test_input(torch.from_numpy(squares).to(device), positions)
            activations: dict[str, torch.Tensor] = net.model.activations(inputs)  # pyright: ignore[reportCallIssue]
            answers = activations[layer].flatten(1).float().cpu().numpy()
        if not np.isfinite(answers).all():
            raise WorkError(f"{layer} says something that is no number: the weights are broken")
        yield numbers, answers


def _rows_in_npy(path: Path, total: int, start: int, shape: tuple[int, int]) -> Vectors:
    """Rows of the file of `total` rows, which is new with its first ones."""
    if start:
        vectors: Vectors = np.load(path, mmap_mode="r+", allow_pickle=False)
    else:
        vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(total, shape[1]))
    return vectors[start : start + shape[0]]


def _in_nameless_file(shape: tuple[int, int]) -> Vectors:
    """On disk, but gone with the array."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, mode="w+", shape=shape)


def _note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _done(unfinished: Path, origin: Origin, images: int) -> int:
    """How many rows of a file on its way are there; 0 where it is of another origin, or not whole."""
    try:
        note = json.loads(_note_of(unfinished).read_text(encoding="utf-8"))
        done, rows = int(note.pop("done")), len(np.load(unfinished, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, LookupError):
        return 0
    return done if note == asdict(origin) and rows == images else 0


def _origin_of(path: Path) -> Origin | None:
    """What a file of features says it is made of; None where there is none, or it is not whole."""
    try:
        origin = Origin(**json.loads(_note_of(path).read_text(encoding="utf-8")))
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError):
        return None
    return origin
