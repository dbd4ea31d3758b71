"""Balanced sampling and class weights, one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice


def balanced_turns(labels: list[int], shuffle: Callable[[int, int], list[int]]) -> Iterator[int]:
    """The images of all epochs before they are shuffled: the classes take turns without end.

    `shuffle(label, number)` is a permutation of the class's images, for the `number`-th time that they come.
    """
    queues: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    rounds = dict.fromkeys(queues, 0)
    while True:
        for label, queue in queues.items():
            if not queue:
                images = [image for image, each in enumerate(labels) if each == label]
                queue += [images[place] for place in shuffle(label, rounds[label])]
                rounds[label] += 1
            yield queue.pop(0)


def balanced_epoch(labels: list[int], epoch: int, shuffle: Callable[[int, int], list[int]]) -> list[int]:
    """The images of one epoch, before they are shuffled."""
    turns, images = balanced_turns(labels, shuffle), len(labels)
    return list(islice(turns, epoch * images, (epoch + 1) * images))


def weighted_loss(losses: list[float], labels: list[int], training_labels: list[int]) -> float:
    """The mean over images of their losses, each class with the same total weight in the training set."""
    counts = {label: training_labels.count(label) for label in set(training_labels)}
    total = 0.0
    for loss, label in zip(losses, labels, strict=True):
        total += loss * len(training_labels) / (len(counts) * counts[label])
    return total / len(losses)
