"""Running a model over images: the views of a few at once, and the one loop over a split."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.data.classes import check_same_classes, label_map
from alexnet.data.crops import Positions
from alexnet.data.decode import Pixels
from alexnet.data.image_reader import read_photo, stored_size
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.errors import DataError, WorkError
from alexnet.evaluation.views import ScaledView, Sizes, each_crop, rendered_sizes
from alexnet.hardware import cpu_count
from alexnet.models.bundle import ModelBundle
from alexnet.runs.environment import processor
from alexnet.runs.results import ViewSet

BATCH_SIZE = 256
"""Default number of crops (images x views) in one pass of the model: it bounds the memory."""


@dataclass(frozen=True)
class InferenceOptions:
    """How a model is run over the images of a split."""

    checkpoint: str = "last"
    """Checkpoint of a run: `last` or `best`."""
    device: torch.device | str = "auto"
    batch_size: int = BATCH_SIZE
    """Crops (images x views) in one pass."""
    progress: Callable[[int], None] = lambda count: None
    """Called with the number of images that were finished since the last call."""
    count_cost: bool = False
    """Whether to count the multiply-adds too."""


DEFAULTS = InferenceOptions()

_Item = TypeVar("_Item")
_Row = TypeVar("_Row", covariant=True)
_AnyRow = TypeVar("_AnyRow")


class Infers(Protocol[_Row]):
    """The part of a task that the loop over a split needs."""

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> Sequence[_Row]:
        """A row for each image."""
        ...


def group_by_size(
    items: Iterable[tuple[Sizes, _Item]], scaled: Sequence[ScaledView], crop: int, batch_size: int
) -> Iterator[list[_Item]]:
    """The items in groups of equal sizes, in order, none of more than `batch_size` crops in any view."""
    by_sizes = dict[Sizes, list[_Item]]()
    for sizes, item in items:
        by_sizes.setdefault(sizes, []).append(item)
    for sizes, alike in by_sizes.items():
        count = images_per_pass(scaled, sizes, crop, batch_size)
        yield from (alike[start : start + count] for start in range(0, len(alike), count))


def images_per_pass(scaled: Sequence[ScaledView], sizes: Sizes, crop: int, batch_size: int) -> int:
    """Number of images in a forward pass of at most `batch_size` crops; at least 1.

    `sizes` are the height and width of the images of each view in pixels, `crop` the model's input size.
    """
    most = max(each.view.crops(*size, crop) for each, size in zip(scaled, sizes, strict=True))
    return max(1, batch_size // most)


def class_probabilities(
    bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
) -> npt.NDArray[np.float32]:
    """(N, K), on whatever device the model is; `images` are uint8 (N, H, W, C), one tensor for each view.

    Always in float32 and with deterministic kernels. The same images in a batch of another size differ by
    rounding only: by less than 1e-5.
    """
    with testing(bundle.model) as device:
        rows = [
            each.view.probabilities(bundle, pixels.to(device))
            for each, pixels in zip(scaled, images, strict=True)
        ]
        mean = torch.stack(rows).mean(dim=0) if len(rows) > 1 else rows[0]
    return mean.cpu().numpy()


def score_crops(
    model: nn.Module, preprocessing: Preprocessing, images: Tensor, positions: Positions
) -> npt.NDArray[np.float32]:
    """(N, V, K) probabilities of each crop, whose means over the crops `class_probabilities` returns."""
    with testing(model) as device:
        return each_crop(model, preprocessing, images.to(device), positions).cpu().numpy()


@contextmanager
def testing(model: nn.Module) -> Generator[torch.device, None, None]:
    """Evaluation mode, no gradients, deterministic float32 kernels; yields the model's device."""
    was_training = model.training
    model.eval()
    try:
        # Not inference_mode: training uses the buffers of preprocessing again.
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield device_of(model)
    finally:
        model.train(was_training)


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter or buffer; StopIteration if it has neither."""
    return next(chain(model.parameters(), model.buffers())).device


def device_name(model: nn.Module) -> str:
    """Name of the GPU or processor of the model."""
    device = device_of(model)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


Filling = tuple[list[int], list[Pixels], Iterator[None]]
"""Indices of a batch's images, the pixels of each view, and the jobs that fill these in."""


def infer_images(
    task: Infers[_AnyRow],
    bundle: ModelBundle,
    split: Split,
    scaled: Sequence[ScaledView],
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] = lambda count: None,
) -> list[_AnyRow]:
    """The task's rows for all images of a split, in its order; each image is inferred exactly once.

    Runs if `bundle.model` is. Under several processes each takes every n-th batch and all return the same
    rows, to the last digit those of one process. `batch_size` (images x views) bounds the memory; another
    value changes rounding only, by less than 1e-5 (but codes of the lasso, in `sparse-coding`, within their
    own tolerance). `progress` is called with numbers of images. WorkError if an image was not inferred,
    or twice.
    """
    rows: list[tuple[int, _AnyRow]] = []
    for numbers, images in view_batches(bundle, split, scaled, batch_size):
        rows += zip(numbers, task.infer(bundle, scaled, list(map(torch.from_numpy, images))), strict=True)
        progress(len(numbers))
    gathered = sorted(chain.from_iterable(distributed.gather_objects(rows)), key=lambda each: each[0])
    if [number for number, _ in gathered] != list(range(len(split))):
        raise WorkError(
            f"not every one of {len(split)} images was scored exactly once, so no error can be reported"
        )
    return [row for _, row in gathered]


def columns_of(bundle: ModelBundle, store: Store) -> npt.NDArray[np.int64]:
    """(K,) position of each of the store's classes among the model's; classes are matched by WNID.

    DataError if model and store have different classes.
    """
    what = f"the model's classes and those of {store.path}"
    if {each.wnid for each in bundle.classes} != {each.wnid for each in store.classes}:
        check_same_classes(bundle.classes, store.classes, what)
    return label_map(store.classes, bundle.classes, what).astype(np.int64)


def check_pixels(
    preprocessing: Preprocessing, store: Store, views: ViewSet | None = None, largest: int = 0
) -> None:
    """DataError if the model was trained on images of another size or form; a warning for another filter.

    With scales in `views` the stored size does not matter. A warning if it is less than `largest`, the
    largest scale that is tested.
    """
    # The shape does not matter: the center of a whole photo is the square that would have been stored.
    found = {"resize": store.manifest.resize, "channels": store.channels}
    wanted = {"resize": preprocessing.resized["resize"], "channels": preprocessing.data.channels}
    if views is None or not views.scales:
        found, wanted = {"side": store.side, **found}, {"side": preprocessing.data.image_size, **wanted}
    apart = [f"{name} {found[name]} for {wanted[name]}" for name in found if found[name] != wanted[name]]
    if apart:
        raise DataError(
            f"{store.path} was prepared differently from the model's training images ({'; '.join(apart)}): "
            f"prepare a store with " + " ".join(f"--{name} {value}" for name, value in wanted.items())
        )
    filters = store.manifest.resampling, preprocessing.resized["resampling"]
    if filters[0] != filters[1] and distributed.is_main():
        logging.getLogger(__name__).warning(
            "warning: %s was resized with a filter (%s) other than the model's training images (%s): "
            "errors may be a little higher",
            *(store.path, *filters),
        )
    if largest > store.side and distributed.is_main():
        logging.getLogger(__name__).warning(
            "warning: %s holds photos of %d pixels, which are enlarged to %d: prepare a store with --side %d",
            *(store.path, store.side, largest, largest),
        )


def view_batches(
    bundle: ModelBundle, split: Split, scaled: Sequence[ScaledView], batch_size: int
) -> Iterator[tuple[list[int], list[Pixels]]]:
    """This process's batches: numbers of images, and for each view their pixels, uint8 (n, H, W, C).

    The contents of a batch do not depend on the number of processes, so the results do not either.
    """
    sizes = (rendered_sizes(scaled, stored_size(split, number)) for number in range(len(split)))
    numbered = zip(sizes, range(len(split)), strict=True)
    batches = group_by_size(numbered, scaled, bundle.preprocessing.crop, batch_size)
    mine = islice(batches, distributed.rank(), None, distributed.world_size())
    with ThreadPoolExecutor(cpu_count()) as readers:
        fill = partial(_start_filling, split, scaled, bundle.preprocessing.resized["resampling"], readers)
        for numbers, images, jobs in _one_ahead(map(fill, mine)):
            deque(jobs, maxlen=0)  # waits for all, and raises the first exception
            yield numbers, images


def _start_filling(
    split: Split,
    scaled: Sequence[ScaledView],
    resampling: str,
    readers: ThreadPoolExecutor,
    numbers: list[int],
) -> Filling:
    sizes = rendered_sizes(scaled, stored_size(split, numbers[0]))
    images = [np.empty((len(numbers), *size, split.manifest.channels), np.uint8) for size in sizes]

    def fill(position: int) -> None:
        photo = read_photo(split, numbers[position])
        for each, pixels in zip(scaled, images, strict=True):
            pixels[position] = each.render(photo, resampling)

    return numbers, images, readers.map(fill, range(len(numbers)))


def _one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, each yielded after the next was requested: the next batch is decoded while the model
    runs.
    """
    held = list(islice(items, 1))
    for item in items:
        yield held.pop()
        held.append(item)
    yield from held
