"""Which training photos are kept from the classifiers, to stop them early and to calibrate them."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.classic.arrays import generator


def split(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the photos to train on and of those held out, both rising; a function of the seed.

    Of each class `share` of its photos is held out, rounded down: a class with a single photo keeps it. With
    `share` above 0 at least one photo of each class with more than one is held out.
    """
    order = torch.randperm(len(labels), generator=generator(seed))
    held: list[Tensor] = [order[:0]]
    for label in labels.unique():
        own = order[labels[order] == label]
        count = min(len(own) - 1, max(int(share > 0), int(share * len(own))))
        held.append(own[:count])
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[torch.cat(held)] = False
    return kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]
