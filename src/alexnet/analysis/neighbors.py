"""Nearest neighbors by Euclidean distance: exact, in chunks of bounded memory, or approximate by a graph."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.analysis.features import (
    FeatureNote,
    features_of,
    features_path,
    graph_path,
    note_path,
    refuse_unknown,
)
from alexnet.checksum import known_sha256
from alexnet.data.decode import Pixels
from alexnet.data.image_reader import read_square
from alexnet.data.photos import Photo, pixels_of
from alexnet.data.preprocessing import to_stored_square
from alexnet.data.store import Split, Store
from alexnet.errors import AlexNetError, CommandError, MissingPackage
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.predictor import Predictor
from alexnet.hardware import choose_device, describe_device
from alexnet.io import atomic_write
from alexnet.models.registry import last_hidden_layer
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.runs.run_dir import RunDir

CHUNK_BYTES = 128 * 2**20
"""Memory for one chunk of vectors and its comparison with all queries."""


@dataclass(frozen=True, eq=False)
class NearestVectors:
    """The nearest vectors of each query, the nearest first; ties by index."""

    indices: npt.NDArray[np.int64]
    """(Q, count)."""
    distances: npt.NDArray[np.float64]
    """(Q, count), Euclidean."""


class Index(Protocol):
    """Finds the vectors that are nearest to a query."""

    def search(self, queries: npt.NDArray[np.float32], count: int) -> NearestVectors:
        """The `count` nearest vectors of each of `queries` (Q, D), fewer where there are fewer vectors.

        CommandError if `queries` have another D.
        """
        ...


class ExactIndex:
    """Compares every query with every vector, in chunks, so `vectors` may be a memory-mapped file.

    A matrix product in float32 selects candidates, whose distances are then computed in float64. Candidates
    are all vectors whose distance could be among the nearest, given the product's largest rounding error: the
    result is that of computing all distances in float64.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32],
        device: torch.device | str = "cpu",
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """`vectors` are (N, D); `device` is where they are compared."""
        self._vectors, self._device, self._chunk_bytes = vectors, torch.device(device), chunk_bytes

    def search(self, queries: npt.NDArray[np.float32], count: int) -> NearestVectors:
        """As in `Index`."""
        check_queries(queries, self._vectors.shape[1])
        wanted = torch.from_numpy(np.array(queries)).to(self._device)
        best = [_Best.empty(self._device)] * len(queries)
        for start, chunk in self._chunks(len(queries)):
            best = [
                old.merged(start + near, distances, count)
                for old, (near, distances) in zip(best, _candidates(wanted, chunk, best, count), strict=True)
            ]
        shape = (len(queries), min(count, len(self._vectors)))
        indices = [each.indices.cpu().numpy() for each in best]
        squares = [each.squares.cpu().numpy() for each in best]
        return NearestVectors(
            np.array(indices, np.int64).reshape(shape), np.sqrt(np.array(squares)).reshape(shape)
        )

    def _chunks(self, queries: int) -> Iterator[tuple[int, Tensor]]:
        """The index of each chunk's first vector, and (n, D) its vectors on the device."""
        # D float32 per vector; a float32 and three float64 per vector and query.
        rows = max(1, self._chunk_bytes // (4 * self._vectors.shape[1] + 28 * queries))
        for start in range(0, len(self._vectors), rows):
            yield start, torch.from_numpy(np.array(self._vectors[start : start + rows])).to(self._device)


@dataclass(frozen=True, eq=False)
class _Best:
    """The nearest vectors of one query so far."""

    indices: Tensor
    squares: Tensor
    """float64: squared distances."""

    @classmethod
    def empty(cls, device: torch.device) -> _Best:
        empty = torch.empty(0, device=device)
        return cls(empty.long(), empty.double())

    def merged(self, indices: Tensor, squares: Tensor, count: int) -> _Best:
        """The `count` nearest of these and the old ones; `indices` are above all old ones."""
        all_squares, order = torch.cat([self.squares, squares]).sort(stable=True)
        return _Best(torch.cat([self.indices, indices])[order[:count]], all_squares[:count])

    def limit(self, count: int) -> float:
        """The largest squared distance with which a vector can still be among the nearest."""
        return float(self.squares[count - 1]) if len(self.squares) >= count else float("inf")


def check_queries(queries: npt.NDArray[np.float32], dimension: int) -> None:
    """CommandError if `queries` are not (Q, dimension)."""
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise CommandError(f"queries are {queries.shape}, expected (Q, {dimension}) as for the vectors")


def _candidates(
    queries: Tensor, chunk: Tensor, best: list[_Best], count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each query ascending indices in the chunk, and their squared distances in float64."""
    lengths, own = (torch.einsum("nd,nd->n", each, each).double() for each in (chunk, queries))
    squares = (queries @ chunk.T).double().mul_(-2).add_(lengths).add_(own[:, None])
    # The error of each of the three inner products is below D * eps / 2 times the product of the lengths
    # (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1).
    errors = queries.shape[1] * torch.finfo(torch.float32).eps * (lengths.max() + own)
    enough = len(chunk) >= count
    nearest = squares.kthvalue(count, dim=1).values if enough else torch.full_like(own, float("inf"))
    for query, row, error, kth, old in zip(queries, squares, errors, nearest, best, strict=True):
        near = torch.nonzero(row <= kth.clamp(max=old.limit(count)) + 2 * error)[:, 0]
        yield near, (chunk[near].double() - query.double()).square().sum(1)


ROWS_AT_ONCE = 1024
CANDIDATES = 4
"""Candidates from the graph (float16) per requested neighbor; their distances are computed in float64."""

EXPANSION = 256
"""Size of the search list (usearch's `expansion_search`): larger is slower and misses fewer."""


class ApproximateIndex:
    """Searches vectors by a graph: it may miss some neighbors, but the distances are exact."""

    def __init__(self, vectors: npt.NDArray[np.float32], graph: Any) -> None:
        """`graph` is usearch's index of `vectors` (N, D), with their indices as keys."""
        self._vectors, self._graph = vectors, graph

    def search(self, queries: npt.NDArray[np.float32], count: int) -> NearestVectors:
        """As in `Index`."""
        check_queries(queries, self._vectors.shape[1])
        wanted = min(CANDIDATES * count, len(self._vectors))
        found: list[NearestVectors] = []
        for query in queries:
            near = np.sort(np.asarray(self._graph.search(query, wanted).keys, np.int64))
            best = ExactIndex(self._vectors[near]).search(query[None], count)
            found.append(NearestVectors(near[best.indices], best.distances))
        shape = (len(queries), min(count, len(self._vectors)))
        indices, distances = ([getattr(each, name)[0] for each in found] for name in ("indices", "distances"))
        return NearestVectors(np.array(indices, np.int64).reshape(shape), np.array(distances).reshape(shape))


def open_graph(
    vectors: npt.NDArray[np.float32], path: Path, progress: Callable[[int], None] = lambda count: None
) -> ApproximateIndex:
    """The index in the file at `path`, built if that is missing or damaged; the file is memory-mapped.

    It must belong to exactly these vectors: code that recomputes them removes it. Its SHA-256 is in the note
    of the file of features, if there is one. `progress` is called with numbers of vectors. CommandError if
    usearch is not installed.
    """
    graph, file = _empty(vectors.shape[1]), note_path(path)
    note = FeatureNote.read(file)
    wanted = note.graph_sha256 if note is not None and note.sha256 else None  # earlier versions have none
    if not path.is_file() or (wanted is not None and known_sha256(path) != wanted):
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = np.array(vectors[start : start + ROWS_AT_ONCE])
            graph.add(np.arange(start, start + len(rows)), rows)
            progress(len(rows))
        with atomic_write(path) as unfinished:
            graph.save(str(unfinished))
        if note is not None:
            replace(note, graph_sha256=known_sha256(path)).write(file)
    graph.view(str(path))
    return ApproximateIndex(vectors, graph)


def refuse_without_usearch() -> None:
    """MissingPackage with the command to type if usearch is not installed."""
    if importlib.util.find_spec("usearch") is None:
        raise MissingPackage("approximate search needs usearch: type pip install 'alexnet[neighbors]'")


def _empty(dimension: int) -> Any:
    refuse_without_usearch()
    from usearch.index import Index  # pyright: ignore

    return Index(ndim=dimension, metric="l2sq", dtype="f16", expansion_search=EXPANSION)


@dataclass(frozen=True)
class Neighbor:
    """A stored image that is near a photo."""

    number: int
    """Its index in the split."""
    key: str
    wnid: str
    name: str
    """WNID and name of its class; empty for an unlabeled image."""
    distance: float
    """Euclidean, between the features."""


class SimilarImages:
    """Finds the images of a split that are nearest to a photo.

    Source: section 6 ("If two images produce feature activation vectors with a small Euclidean separation, we
    can say that the higher levels of the neural network consider them to be similar").
    """

    def __init__(self, classifier: Predictor, split: Split, layer: str, index: Index) -> None:
        """`index` holds the features of `layer` for the images of `split`, in its order."""
        self.layer, self.split, self._classifier, self._index = layer, split, classifier, index

    def of(self, photos: Photo | Sequence[Photo], top: int = 6) -> list[list[Neighbor]]:
        """For each photo its `top` nearest images, the nearest first. Errors as of `Predictor.features`."""
        if top < 1:
            raise CommandError(f"top must be at least 1, got {top}")
        vectors = self._classifier.features(photos, self.layer)
        if not len(vectors):
            return []
        found = self._index.search(vectors, top)
        return [
            [self._neighbor(number, distance) for number, distance in zip(*row, strict=True)]
            for row in zip(found.indices.tolist(), found.distances.tolist(), strict=True)
        ]

    def attempt(self, photos: Sequence[Photo], top: int = 6) -> list[list[Neighbor] | AlexNetError]:
        """As `of`, with the error in place of the neighbors for a photo that cannot be read."""
        squares = [self.square_of(photo) for photo in photos]
        found = iter(self.of([each for each in squares if not isinstance(each, AlexNetError)], top))
        return [each if isinstance(each, AlexNetError) else next(found) for each in squares]

    def square_of(self, photo: Photo) -> Pixels | AlexNetError:
        """(side, side, C) the photo as the model's stored square, or why it cannot be read."""
        try:
            return to_stored_square(pixels_of(photo), self._classifier.preprocessing)
        except AlexNetError as error:
            return error

    def pixels(self, number: int) -> npt.NDArray[np.uint8]:
        """(side, side, C) the stored image with that index in the split."""
        header = self.split.manifest
        square = np.empty((header.side, header.side, header.channels), np.uint8)
        read_square(self.split, number, square)
        return square

    def _neighbor(self, number: int, distance: float) -> Neighbor:
        label = int(self.split.labels[number])
        known = self.split.manifest.classes[label] if label >= 0 else None
        wnid, name = (known.wnid, known.name) if known else ("", "")
        return Neighbor(number, self.split.key(number), wnid, name, distance)


@dataclass(frozen=True)
class SearchSpec:
    """Which images to search, by which layer, and how."""

    store: Store
    split: str = "train"
    layer: str = ""
    """Empty is `last_hidden_layer`."""
    approximate: bool = False
    """Whether to search a graph, which is kept next to the run's features."""


def open_similar_images(
    path: Path,
    classifier: Predictor,
    spec: SearchSpec,
    device: torch.device | str = "auto",
    progress_bar: ProgressBar = no_progress_bar,
) -> SimilarImages:
    """The search over the images of a split; computes the features, and the graph, that the run lacks.

    `path` is the run directory or the exported file that `classifier` was loaded from. Errors as of
    `features_of`; CommandError for an approximate search with an exported file, which keeps no graph.
    """
    run, part, device = RunDir.open(path, or_file=True), spec.store.split(spec.split), choose_device(device)
    if spec.approximate:
        _refuse_no_graph(run)
    layer = spec.layer or last_hidden_layer(classifier.model)
    refuse_unknown(layer, classifier.model)
    title = f"{layer} of {path.name}: {spec.store.path.name} {spec.split} on {describe_device(device)}"
    with progress_bar(title, len(part)) as advance:
        vectors = features_of(
            run, spec.store, spec.split, layer, InferenceOptions(device=device, progress=advance)
        )
    if not spec.approximate:
        return SimilarImages(classifier, part, layer, ExactIndex(vectors, device))
    file = graph_path(features_path(run.path, spec.store, spec.split, layer))
    with (no_progress_bar if file.is_file() else progress_bar)(f"graph of {layer}", len(part)) as advance:
        return SimilarImages(classifier, part, layer, open_graph(vectors, file, advance))


def _refuse_no_graph(run: RunDir) -> None:
    refuse_without_usearch()
    if run.is_exported:
        raise CommandError(
            f"{run.path} is a single file and keeps no graph: omit --approximate, or use the run directory"
        )
