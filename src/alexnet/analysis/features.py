"""The features of all images of a split, cached as a file in the run directory.

`RUN/features/<split>-<layer>-<store>.npy` is float32 (N, D) in the store's order. The `.json` beside it holds
the digests of the weights, of the store and of the features themselves, and is written last. Features that
differ from it are computed again. Unfinished files end in `.part.npy`.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.checksum import Damaged, FileVersion, known_sha256, without_checksum, write_json_with_checksum
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import DEFAULTS, InferenceOptions, check_pixels, testing, view_batches
from alexnet.evaluation.views import positions_of, scaled_views
from alexnet.io import exclusive_lock, writing
from alexnet.json_reader import parse_json
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


@dataclass(frozen=True)
class FeatureNote:
    """The contents of the `.json` beside a file of features."""

    weights_digest: str
    store_digest: str
    done: int = 0
    """Finished rows of an unfinished file."""
    sha256: str = ""
    """Of the rows, all or those that are done, in C order; empty in files of earlier versions."""
    graph_sha256: str = ""
    """Of the file of the search graph; empty without one."""

    @property
    def origin(self) -> Origin:
        """What the features were computed from."""
        return Origin(self.weights_digest, self.store_digest)

    @classmethod
    def read(cls, file: Path) -> FeatureNote | None:
        """The note in the file; None if it is missing or damaged."""
        try:
            return cls(**without_checksum(parse_json(file.read_bytes()), file))
        except (OSError, ValueError, TypeError, Damaged):
            return None

    def write(self, file: Path) -> None:
        """Writes the file atomically."""
        write_json_with_checksum(file, asdict(self))


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
    """(N, D) float32: the activations of `layer` for the center crop of every image, in the store's order.

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
    origin = Origin(known_sha256(weights), store.digest)
    with writing(path), exclusive_lock(path.parent, wait=True):
        if _are_whole(path, origin, len(part)):
            options.progress(len(part))
        else:
            for stale in (note_path(path), graph_path(path)):
                stale.unlink(missing_ok=True)
            _compute_in_chunks(path, origin, part, work, options.progress)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _compute_in_chunks(
    path: Path, origin: Origin, split: Split, work: Callable[..., Vectors], progress: Callable[[int], None]
) -> None:
    """Writes the file and its origin; resumes where a process with the same origin was stopped."""
    unfinished = path.with_suffix(".part.npy")
    done, digest = _resumed(unfinished, origin, len(split))
    if done:
        progress(done)
    for start in range(done, max(len(split), 1), IMAGES_PER_CHUNK):
        rows = np.arange(start, min(start + IMAGES_PER_CHUNK, len(split)))
        vectors = work(split.part(rows), allocate=partial(_rows_of_npy, unfinished, len(split), start))
        digest.update(np.ascontiguousarray(vectors).data)
        note = FeatureNote(**asdict(origin), done=start + len(rows), sha256=digest.hexdigest())
        note.write(note_path(unfinished))
    unfinished.replace(path)
    note_path(unfinished).unlink()
    FeatureNote(**asdict(origin), sha256=digest.hexdigest()).write(note_path(path))


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
    """The array (N, D) that `allocate` returned, filled with a layer's activations for the center crops.

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


def note_path(path: Path) -> Path:
    """The file of the `FeatureNote` of a file of features."""
    return path.with_suffix(".json")


def rows_digest(vectors: Vectors) -> Any:
    """SHA-256 (of hashlib) of the rows (N, D) in C order, a chunk in memory at a time."""
    digest = hashlib.sha256()
    for start in range(0, len(vectors), IMAGES_PER_CHUNK):
        digest.update(np.ascontiguousarray(vectors[start : start + IMAGES_PER_CHUNK]).data)
    return digest


def _opened(path: Path) -> Vectors | None:
    """The file, mapped; None if it is missing, truncated or of another form."""
    try:
        vectors: Vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vectors if vectors.dtype == np.float32 and vectors.ndim == 2 else None


def _resumed(unfinished: Path, origin: Origin, images: int) -> tuple[int, Any]:
    """The number of finished rows of an unfinished file, and their digest (of hashlib).

    0 rows if the file has another origin or is damaged.
    """
    note, vectors = FeatureNote.read(note_path(unfinished)), _opened(unfinished)
    if note is not None and vectors is not None and note.origin == origin and len(vectors) == images:
        digest = rows_digest(vectors[: note.done])
        if digest.hexdigest() == note.sha256:
            return note.done, digest
    return 0, hashlib.sha256()


def _are_whole(path: Path, origin: Origin, images: int) -> bool:
    """Whether a file of features has this origin and is the one that was written."""
    note, vectors = FeatureNote.read(note_path(path)), _opened(path)
    if note is None or vectors is None or note.origin != origin or len(vectors) != images:
        return False
    return not note.sha256 or known_rows_digest(path) == note.sha256


def known_rows_digest(path: Path) -> str:
    """`rows_digest` of a file, hexadecimal; empty for a file of another form.

    Computed once in a process unless the file changes.
    """
    return _known_rows_digest(FileVersion.of(path))


@functools.lru_cache(maxsize=256)
def _known_rows_digest(version: FileVersion) -> str:
    vectors = _opened(version.path)
    return "" if vectors is None else rows_digest(vectors).hexdigest()
