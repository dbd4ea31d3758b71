"""`Store.torch_dataset`: a split of a store for `torch.utils.data.DataLoader`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from alexnet.data.image_reader import read_photo
from alexnet.data.store import Split


class TorchDataset(Dataset[tuple[Any, int]]):
    """The images of a split with their labels, as torchvision's data sets have them.

    `dataset[i]` is (image, label): the image is what `transform` returns for a PIL image, RGB or L; without a
    transform it is uint8 (C, H, W). It can be pickled if the transform can, so that a `DataLoader` may have
    worker processes of any start method.
    """

    def __init__(self, split: Split, transform: Callable[[Image.Image], Any] | None = None) -> None:
        self.split, self.transform = split, transform
        self.classes = [each.name for each in split.manifest.classes]
        """Names, in label order."""

    @property
    def targets(self) -> list[int]:
        """The labels of all images; -1 for unlabeled ones."""
        return self.split.labels.tolist()

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """(image, label); DataError names a damaged image, IndexError if there is none."""
        pixels, label = read_photo(self.split, index), int(self.split.labels[index])
        if self.transform is None:
            return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), label
        return self.transform(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)), label

    def __repr__(self) -> str:
        """`TorchDataset(Split('train': ...), transform None)`."""
        return f"TorchDataset({self.split!r}, transform {self.transform!r})"
