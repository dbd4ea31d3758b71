"""What a net says about a few images: the mean over all looks at them, after the softmax."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.data.classes import label_map, same_classes
from alexnet.data.crops import Positions
from alexnet.data.image_reader import read_photo, stored_size
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.errors import DataError, WorkError
from alexnet.evaluation.views import Look, Sizes, each_crop, looks_for, name_of, sizes_seen
from alexnet.hardware import cpu_count
from alexnet.models.bundle import ModelBundle
from alexnet.runs.environment import processor
from alexnet.runs.predictions import Predictions

SQUARES_AT_ONCE = 256
"""Squares of the net's size (images x views) that it sees in one pass, unless asked otherwise: bounds the
memory."""

Item = TypeVar("Item")


def groups(
    items: Iterable[tuple[Sizes, Item]], looks: Sequence[Look], crop: int, squares: int
) -> Iterator[list[Item]]:
    """The items in groups of equal sizes, in order, none of more than `squares` squares in any look."""
    by_sizes = dict[Sizes, list[Item]]()
    for sizes, item in items:
        by_sizes.setdefault(sizes, []).append(item)
    for sizes, alike in by_sizes.items():
        count = images_at_once(looks, sizes, crop, squares)
        yield from (alike[start : start + count] for start in range(0, len(alike), count))


def images_at_once(looks: Sequence[Look], sizes: Sizes, crop: int, squares: int) -> int:
    """How many images of those sizes make a pass of at most `squares` squares; at least one."""
    most = max(look.view.crops(*size, crop) for look, size in zip(looks, sizes, strict=True))
    return max(1, squares // most)


def score(net: ModelBundle, looks: Sequence[Look], seen: Sequence[Tensor]) -> npt.NDArray[np.float32]:
    """(N, K) probabilities, on whatever device the model is; `seen` are uint8 (N, H, W, C) for each look.

    Always in float32 and with deterministic kernels. The same images in a batch of another size differ by
    rounding only: by less than 1e-5.
    """
    with testing(net.model) as device:
        rows = [
            look.view.probabilities(net, images.to(device)) for look, images in zip(looks, seen, strict=True)
        ]
        mean = torch.stack(rows).mean(dim=0) if len(rows) > 1 else rows[0]
    return mean.cpu().numpy()


def score_crops(
    model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions
) -> npt.NDArray[np.float32]:
    """(N, V, K) probabilities of each crop by itself, whose means over the crops `score` gives."""
    with testing(model) as device:
        return each_crop(model, preprocessing, images.to(device), positions).cpu().numpy()


@contextmanager
def testing(model: nn.Module) -> Generator[torch.device, None, None]:
    """Evaluation mode, no gradients, deterministic float32 kernels; gives the model's device."""
    was_training = model.training
    model.eval()
    try:
        # Not inference_mode: buffers that preprocessing keeps are used again by training.
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield device_of(model)
    finally:
        model.train(was_training)


def device_of(model: nn.Module) -> torch.device:
    """Where the model is."""
    return next(chain(model.parameters(), model.buffers())).device


Pixels = npt.NDArray[np.uint8]
Scored = tuple[list[int], npt.NDArray[np.float32]]
"""Numbers of a batch's images, and the batch's probabilities."""
Filling = tuple[list[int], list[Pixels], Iterator[None]]
"""Numbers of a batch's images, what each look sees of them, and the tasks that fill it in."""


def predict(
    net: ModelBundle,
    store: Store,
    split: str = "val",
    views: str = "ten",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Predictions:
    """The probabilities of all images of a split, in the store's order of images and of classes.

    `views` are a name of `views.VIEWS`; `scales` the shorter sides in pixels that photos are resized to, by
    default the net's own. Of a store of squares the square is the photo.

    Runs where `net.model` is. Under several processes each takes every n-th batch and all return the same
    result, to the last digit that of one process. `squares_at_once` (images x views) bounds the memory;
    another value changes rounding only, by less than 1e-5 (but codes of the lasso, in `sparse-coding`, within
    their own tolerance). `progress` is called with numbers of images.

    DataError where the store's classes are not the net's or its images were resized otherwise; WorkError
    where an image was not scored, or twice; CommandError as `looks_for`. A store resized with another filter,
    or one smaller than a scale, is a logged warning.
    """
    began = time.perf_counter()
    part = store.split(split)
    columns, looks = columns_of(net, store), looks_for(net, views, scales)
    check_pixels(net.preprocessing, store, scales, looks)
    scored: list[Scored] = []
    for numbers, seen in batches_seen(net, part, looks, squares_at_once):
        scored.append((numbers, score(net, looks, [torch.from_numpy(images) for images in seen])))
        progress(len(numbers))
    probabilities = _together(distributed.gather_objects(scored), len(part), len(net.classes))
    return Predictions(
        split=split,
        views=name_of(views, scales),
        probabilities=np.ascontiguousarray(probabilities[:, columns]),
        labels=part.labels.astype(np.int64),
        keys=np.array(part.keys(), np.str_),
        classes=np.array([each.wnid for each in store.classes]),
        names=np.array([each.name for each in store.classes]),
        store_digest=store.digest,
        scales=np.unique([look.scale for look in looks]),
        seconds=time.perf_counter() - began,
        device=_device_name(net),
    )


def _device_name(net: ModelBundle) -> str:
    device = device_of(net.model)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def columns_of(net: ModelBundle, store: Store) -> npt.NDArray[np.int32]:
    """(K,) where each of the store's classes stands among the net's: WNIDs count, not the order."""
    what = f"the net's classes and those of {store.path}"
    if {each.wnid for each in net.classes} != {each.wnid for each in store.classes}:
        same_classes(net.classes, store.classes, what)
    return label_map(store.classes, net.classes, what)


def check_pixels(
    preprocessing: Preprocessing, store: Store, scales: Sequence[int] = (), looks: Sequence[Look] = ()
) -> None:
    """DataError where the net was trained on images of another size or form; a warning for another filter.

    Where scales are given the stored size does not matter. A warning where it is smaller than a look's.
    """
    largest = max((look.scale for look in looks), default=0)
    # The shape does not matter: the center of a whole photo is the square that would have been stored.
    found = {"resize": store.header.resize, "channels": store.channels}
    wanted = {"resize": preprocessing.resized["resize"], "channels": preprocessing.data.channels}
    if not scales:
        found, wanted = {"side": store.side, **found}, {"side": preprocessing.data.image_size, **wanted}
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
    if largest > store.side and distributed.is_main():
        logging.getLogger(__name__).warning(
            "warning: %s holds photos of %d pixels, which are enlarged to %d: prepare a store with --side %d",
            *(store.path, store.side, largest, largest),
        )


def batches_seen(
    net: ModelBundle, split: Split, looks: Sequence[Look], squares: int
) -> Iterator[tuple[list[int], list[Pixels]]]:
    """This process's batches: numbers of images, and for each look what it sees, uint8 (n, H, W, C).

    What a batch holds does not depend on how many processes there are, so neither does any digit.
    """
    sizes = (sizes_seen(looks, stored_size(split, number)) for number in range(len(split)))
    batches = groups(zip(sizes, range(len(split)), strict=True), looks, net.preprocessing.crop, squares)
    mine = islice(batches, distributed.rank(), None, distributed.world_size())
    with ThreadPoolExecutor(cpu_count()) as readers:
        fill = partial(_start_filling, split, looks, net.preprocessing.resized["resampling"], readers)
        for numbers, seen, tasks in _one_ahead(map(fill, mine)):
            deque(tasks, maxlen=0)  # waits for all, and raises what went wrong in any
            yield numbers, seen


def _start_filling(
    split: Split, looks: Sequence[Look], resampling: str, readers: ThreadPoolExecutor, numbers: list[int]
) -> Filling:
    sizes = sizes_seen(looks, stored_size(split, numbers[0]))
    seen = [np.empty((len(numbers), *size, split.header.channels), np.uint8) for size in sizes]

    def fill(place: int) -> None:
        picture = read_photo(split, numbers[place])
        for look, images in zip(looks, seen, strict=True):
            images[place] = look.seen(picture, resampling)

    return numbers, seen, readers.map(fill, range(len(numbers)))


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each after the next was asked for: while the net looks at one batch, one is decoded."""
    held = list(islice(items, 1))
    for item in items:
        yield held.pop()
        held.append(item)
    yield from held


def _together(parts: Sequence[Sequence[Scored]], images: int, classes: int) -> npt.NDArray[np.float32]:
    """(N, K) from all processes' batches; WorkError unless every image was scored exactly once."""
    scored = list(chain.from_iterable(parts))
    numbers = np.array([number for batch, _ in scored for number in batch], np.int64)
    if not np.array_equal(np.sort(numbers), np.arange(images)):
        raise WorkError(f"not every one of {images} images was scored exactly once; no error is given")
    probabilities = np.empty((images, classes), np.float32)
    for batch, rows in scored:
        probabilities[batch] = rows
    return probabilities
