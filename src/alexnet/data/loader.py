"""Batches of stored images: ordered, read, decoded and prefetched in threads, copied to the device.

The order is a function of (seed, epoch), so an interrupted epoch can resume at any batch, with any number of
processes. Decoders and copies release Python's global lock; threads share the batch they fill.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.boxes import Boxes, BoxTable
from alexnet.data.buffers import BufferPool
from alexnet.data.image_reader import ImageReader, StoredSquares
from alexnet.data.randomness import balanced_epoch_order, epoch_order
from alexnet.data.store import Split
from alexnet.errors import CommandError
from alexnet.hardware import cpu_count
from alexnet.text import counted

_PREFETCHED_BATCHES = 2
_TASKS_PER_WORKER = 2
"""Tasks per worker and batch: few, since submitting one costs more than copying an image; two, since images
differ in cost."""


@dataclass(frozen=True)
class Batch:
    """One process's share of a batch. Its memory is not reused while anything refers to it."""

    images: Tensor
    """(N, S, S, channels) uint8, RGB or gray, on the device; S is the reader's side."""
    labels: Tensor
    """(N,) int64, on the device."""
    indices: Tensor
    """(N,) int64, on the CPU: the images' indices in the split."""
    positions: Tensor
    """(N,) int64, on the CPU: the images' positions in the epoch's order."""
    size: int
    """Number of images over all processes."""
    boxes: Boxes | None = None
    """The images' boxes, on the CPU, if the loader reads boxes."""

    def __repr__(self) -> str:
        """`Batch(images (128, 72, 72, 3) uint8 on cpu, labels (128,))`."""
        images, labels = tuple(self.images.shape), tuple(self.labels.shape)
        boxes = "" if self.boxes is None else ", boxes"
        return f"Batch(images {images} uint8 on {self.images.device}, labels {labels}{boxes})"


@dataclass(frozen=True)
class _Pending:
    """A batch being filled, and the tasks that fill it."""

    batch: Batch
    tasks: list[Future[None]]


@dataclass(frozen=True)
class Batching:
    """Which images are in which batch: a function of these values, the number of images and the epoch."""

    batch_size: int
    """Images of a batch, over all processes."""
    seed: int = 0
    order: Literal["each-epoch", "once", "sequential", "balanced"] = "each-epoch"
    """Shuffled in every epoch, the same shuffle in all epochs, not shuffled, or shuffled with the same number
    of images of each class, of which some may come several times (`balanced_epoch_order`)."""
    drop_last: bool = False
    """Whether an incomplete last batch is dropped. Otherwise every image comes exactly once, and the shares
    of processes may be uneven or even missing."""
    even: bool = False
    """Whether the sizes of batches differ by one image at most, instead of a smaller last batch."""
    rank: int = 0
    """This process, which gets its contiguous share of each batch."""
    world_size: int = 1

    def count(self, images: int) -> int:
        """Number of batches in an epoch."""
        whole, rest = divmod(images, self.batch_size)
        return whole if self.drop_last or rest == 0 else whole + 1

    def epoch_order(self, labels: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """(N,) indices of images with these `labels` (N,) in this epoch's order."""
        if self.order == "sequential":
            return np.arange(len(labels))
        if self.order == "balanced":
            return balanced_epoch_order(self.seed, epoch, labels)
        return epoch_order(self.seed, epoch if self.order == "each-epoch" else 0, len(labels))

    def ends(self, images: int, number: int) -> tuple[int, int]:
        """Position of a batch's first image, over all processes, and the one after its last."""
        if self.even:
            count = self.count(images)
            return number * images // count, (number + 1) * images // count
        return number * self.batch_size, min((number + 1) * self.batch_size, images)

    def share(self, images: int, number: int) -> NDArray[np.int64]:
        """Positions, in the epoch's order, of this process's share of a batch."""
        first, last = self.ends(images, number)
        ends = [first + (last - first) * rank // self.world_size for rank in (self.rank, self.rank + 1)]
        return np.arange(*ends)


class Loader:
    """Reads one split, batch by batch.

    `workers` is the number of threads, by default that of this process's cores. `reader` fills the images, by
    default as they are stored. With `boxes` batches have the boxes of their images; CommandError if the split
    has none at all.

    Each iteration is an epoch: the first is epoch 0, the next one epoch 1. `epoch` is the number of the next
    one, and can be set. `batches(epoch)` is any epoch, and changes nothing.
    """

    def __init__(
        self,
        split: Split,
        batching: Batching,
        *,
        reader: ImageReader | None = None,
        boxes: bool = False,
        workers: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if batching.drop_last and len(split) < batching.batch_size:
            raise CommandError(
                f"a batch of {batching.batch_size} is larger than split {split.name!r} with {len(split)} "
                f"images: type training.batch_size={max(1, len(split))} or less"
            )
        self.split, self.batching = split, batching
        self.workers = workers or cpu_count()
        self.device = torch.device(device)
        self._reader = reader or StoredSquares(split)
        self._labels = split.labels.astype(np.int64)
        self._boxes = BoxTable.of(split) if boxes else None
        self.epoch = 0
        """The epoch that the next iteration yields."""
        self._buffers = BufferPool()
        self._copies = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return self.batching.count(len(self.split))

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch; errors as `batches`."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def __repr__(self) -> str:
        """`Loader(Split('train': ...), 6 batches of 8 images, each-epoch order, seed 0)`."""
        batching = self.batching
        return (
            f"Loader({self.split!r}, {counted(len(self), 'batch')} of {batching.batch_size} images, "
            f"{batching.order} order, seed {batching.seed})"
        )

    def batches(self, epoch: int = 0, start_batch: int = 0) -> Iterator[Batch]:
        """The epoch's batches from `start_batch`, on the device; DataError names a damaged image."""
        order = self.order_of(epoch)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="alexnet-loader") as threads:
            pending = deque[_Pending]()
            try:
                for number in range(start_batch, len(self)):
                    if len(self.batching.share(len(self.split), number)) == 0:
                        continue
                    pending.append(self._start(epoch, number, order, threads))
                    if len(pending) > _PREFETCHED_BATCHES:
                        yield self._finish(pending.popleft())
                while pending:
                    yield self._finish(pending.popleft())
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def forever(self) -> Iterator[tuple[int, Batch]]:
        """(epoch, batch) of all epochs from 0 on, without end; batches and errors as those of `batches`."""
        return ((epoch, batch) for epoch in count() for batch in self.batches(epoch))

    def batch_of(self, epoch: int, indices: NDArray[np.int64]) -> Batch:
        """A batch of images (N,) of the split as they come in an epoch, on the CPU; errors as `batches`.

        An image that does not come in it has its index as its position.
        """
        order = self.order_of(epoch).tolist()
        found = [order.index(each) if each in order else each for each in indices.tolist()]
        positions, images = np.array(found, np.int64), self._empty_images(len(indices))
        self._reader(epoch, indices, positions, images.numpy())
        return self._batch(images, indices, positions, len(indices))

    def order_of(self, epoch: int) -> NDArray[np.int64]:
        """(N,) indices of the images in the order of an epoch."""
        return self.batching.epoch_order(self._labels, epoch)

    def _start(
        self, epoch: int, number: int, order: NDArray[np.int64], threads: ThreadPoolExecutor
    ) -> _Pending:
        """A batch that the threads are filling."""
        positions = self.batching.share(len(self.split), number)
        indices = order[positions]
        images = self._empty_images(len(indices))
        pixels = images.numpy()
        size = math.ceil(len(indices) / (self.workers * _TASKS_PER_WORKER))
        spans = [slice(start, start + size) for start in range(0, len(indices), size)]
        tasks = [
            threads.submit(self._reader, epoch, indices[span], positions[span], pixels[span])
            for span in spans
        ]
        first, last = self.batching.ends(len(self.split), number)
        return _Pending(self._batch(images, indices, positions, last - first), tasks)

    def _batch(
        self, images: Tensor, indices: NDArray[np.int64], positions: NDArray[np.int64], size: int
    ) -> Batch:
        labels = torch.from_numpy(self._labels[indices])
        boxes = None if self._boxes is None else self._boxes.padded(indices)
        return Batch(images, labels, torch.from_numpy(indices), torch.from_numpy(positions), size, boxes)

    def _empty_images(self, count: int) -> Tensor:
        """Pinned memory if it is copied to a GPU; torch recycles that itself, after the copy."""
        shape = (count, self._reader.side, self._reader.side, self.split.manifest.channels)
        if self._copies is not None:
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return self._buffers.take(shape, torch.uint8)

    def _finish(self, pending: _Pending) -> Batch:
        """Waits for the images and copies them to the device."""
        for task in pending.tasks:
            task.result()
        batch = pending.batch
        if self._copies is not None:
            return self._copied(batch, self._copies)
        return replace(batch, images=batch.images.to(self.device), labels=batch.labels.to(self.device))

    def _copied(self, batch: Batch, copies: torch.cuda.Stream) -> Batch:
        """Copies concurrently with the running computation; later work on the device waits for the copy."""
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(copies):
            images = batch.images.to(self.device, non_blocking=True)
            labels = batch.labels.pin_memory().to(self.device, non_blocking=True)
        current.wait_stream(copies)
        for tensor in (images, labels):
            tensor.record_stream(current)
        return replace(batch, images=images, labels=labels)
