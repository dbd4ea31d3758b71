"""What a net is trained for: which of its answers learn, what they should be, and when one is wrong.

The loop and its update are handed one of these; they know no more of what is learned.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from alexnet.data.loader import Batch
from alexnet.data.randomness import ImageRandomness
from alexnet.tasks.losses import Loss


class Task(Protocol):
    """Functions of one batch; all tensors are on the device of its images."""

    @property
    def loss(self) -> Loss:
        """Of answers and targets."""
        ...

    @property
    def reads_boxes(self) -> bool:
        """Whether batches must carry boxes."""
        ...

    def trained(self, model: nn.Module) -> nn.Module:
        """The module whose answers to images (N, C, crop, crop) learn; its parameters are the model's."""
        ...

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """The net's input, changed if the task changes it, and what it should answer, a row an image."""
        ...

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """(), how many of the answers are wrong."""
        ...
