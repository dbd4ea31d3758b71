"""The sample of local descriptors that a channel learns from: how large it is, and drawing it."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.classic.arrays import generator
from alexnet.training.classic_work import Work

DESCRIPTORS_A_PHOTO = 150
"""That the sample takes of a photo, at least, where photos have so many: fewer photos are read then."""


def size(wanted: int, photos: int, places: int) -> int:
    """Descriptors in the sample: `wanted`, or all of so many photos that have `places` descriptors each."""
    return min(wanted, photos * places)


def draw(work: Work) -> Tensor:
    """(M, D) raw descriptors of the channel at work, as many as `size` says: random ones of random photos."""
    wanted, total = work.classic.sample_descriptors, len(work.labels)
    randomness = generator(work.config.training.seed)
    places = len(work.channel.descriptor.centres(work.config.data.crop))
    a_photo = _a_photo(wanted, total, places)
    chosen = torch.randperm(total, generator=randomness)[: -(-wanted // a_photo)]
    parts: list[Tensor] = []
    for _, images in work.photos(chosen):
        for photo in images.split(1):
            descriptors = work.channel.descriptor.describe(photo)[0]
            drawn = torch.randperm(len(descriptors), generator=randomness)[:a_photo]
            parts.append(descriptors[drawn.to(descriptors.device)].clone())
        work.stop_if_asked()
    return torch.cat(parts)[:wanted]


def _a_photo(wanted: int, photos: int, places: int) -> int:
    """The most that is taken of one."""
    return min(places, max(-(-wanted // photos), min(wanted, DESCRIPTORS_A_PHOTO)))
