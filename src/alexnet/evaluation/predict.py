"""What a net says about every image of a split: each exactly once, on any number of processes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet import distributed
from alexnet.data.classes import label_map, same_classes
from alexnet.data.pixels import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.errors import DataError, WorkError
from alexnet.evaluation.score import SQUARES_AT_ONCE, images_at_once, positions_of, score
from alexnet.machine import cores
from alexnet.models.model_file import Loaded
from alexnet.runs.predictions import Predictions

Item = TypeVar("Item")
Scored = tuple[int, npt.NDArray[np.float32]]
"""Number of a batch's first image, and the batch's probabilities."""
Filling = tuple[int, npt.NDArray[np.uint8], Iterator[None]]
"""Number of a batch's first image, its squares, and the tasks that fill them."""


def predict(
    net: Loaded,
    store: Store,
    split: str = "val",
    views: str = "ten",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
) -> Predictions:
    """The probabilities of all images of a split, in the store's order of images and of classes.

    Runs where `net.model` is. Under several processes each takes every n-th batch and all return the same
    result, to the last digit that of one process. `squares_at_once` (images x views) bounds the memory;
    another value changes rounding only, by less than 1e-5 (but codes of the lasso, in `sparse-coding`, within
    their own tolerance). `progress` is called with numbers of images.

    DataError where the store's classes are not the net's or its images were resized otherwise; WorkError
    where an image was not scored, or twice. A store resized with another filter is a logged warning.
    """
    part = store.split(split)
    columns = _columns(net, store)
    _check_pixels(net.preprocessing, store)
    positions = positions_of(views, net.preprocessing)
    images = images_at_once(positions, squares_at_once)
    scored: list[Scored] = []
    for start, squares in _batches(part, images):
        scored.append((start, score(net.model, net.preprocessing, squares, positions)))
        progress(len(squares))
    probabilities = _together(distributed.gather_objects(scored), len(part), len(net.classes))
    return Predictions(
        split=split,
        views=views,
        probabilities=np.ascontiguousarray(probabilities[:, columns]),
        labels=part.labels.astype(np.int64),
        keys=np.array(part.keys(), np.str_),
        classes=np.array([each.wnid for each in store.classes]),
        names=np.array([each.name for each in store.classes]),
        store_digest=store.digest,
    )


def _columns(net: Loaded, store: Store) -> npt.NDArray[np.int32]:
    """(K,) where each of the store's classes stands among the net's: WNIDs count, not the order."""
    what = f"the net's classes and those of {store.path}"
    if {each.wnid for each in net.classes} != {each.wnid for each in store.classes}:
        same_classes(net.classes, store.classes, what)
    return label_map(store.classes, net.classes, what)


def _check_pixels(preprocessing: Preprocessing, store: Store) -> None:
    """DataError where the net was trained on images of another size or form; a warning for another filter."""
    # The shape does not matter: the centre of a whole photo is the square that would have been stored.
    found = {"side": store.side, "resize": store.header.resize, "channels": store.channels}
    wanted = {
        "side": preprocessing.side,
        "resize": preprocessing.resized["resize"],
        "channels": preprocessing.data.channels,
    }
    apart = [f"{name} {found[name]} for {wanted[name]}" for name in found if found[name] != wanted[name]]
    if apart:
        raise DataError(
            f"{store.path} was prepared otherwise than the net's training images ({'; '.join(apart)}): "
            f"prepare a store with " + " ".join(f"--{name} {value}" for name, value in wanted.items())
        )
    filters = store.header.resampling, preprocessing.resized["resampling"]
    if filters[0] != filters[1] and distributed.is_main():
        logging.getLogger(__name__).warning(
            "warning: %s was resized with a filter (%s) other than the net's training images (%s): "
            "errors may be a little higher",
            *(store.path, *filters),
        )


def _batches(split: Split, images: int) -> Iterator[tuple[int, Tensor]]:
    """This process's batches: number of the first image, and uint8 (n, side, side, C).

    What a batch holds does not depend on how many processes there are, so neither does any digit.
    """
    starts = range(0, len(split), images)[distributed.rank() :: distributed.world_size()]
    with ThreadPoolExecutor(cores()) as readers:
        filling = (_start_filling(split, start, min(images, len(split) - start), readers) for start in starts)
        for start, squares, tasks in _one_ahead(filling):
            deque(tasks, maxlen=0)  # waits for all, and raises what went wrong in any
            yield start, torch.from_numpy(squares)


def _start_filling(split: Split, start: int, count: int, readers: ThreadPoolExecutor) -> Filling:
    header = split.header
    squares = np.empty((count, header.side, header.side, header.channels), np.uint8)
    tasks = readers.map(partial(read_square, split), range(start, start + count), squares)
    return start, squares, tasks


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each after the next was asked for: while the net looks at one batch, one is decoded."""
    held = list(islice(items, 1))
    for item in items:
        yield held.pop()
        held.append(item)
    yield from held


def _together(parts: Sequence[Sequence[Scored]], images: int, classes: int) -> npt.NDArray[np.float32]:
    """(N, K) from all processes' batches; WorkError unless every image was scored exactly once."""
    scored = sorted(chain.from_iterable(parts), key=lambda batch: batch[0])
    numbers = [np.arange(start, start + len(rows)) for start, rows in scored]
    if not np.array_equal(np.concatenate([np.arange(0), *numbers]), np.arange(images)):
        raise WorkError(f"not every one of {images} images was scored exactly once; no error is given")
    return np.concatenate([np.empty((0, classes), np.float32), *(rows for _, rows in scored)])
