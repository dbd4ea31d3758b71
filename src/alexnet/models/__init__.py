"""One paper, one file."""

from alexnet.models.alexnet import AlexNet

__all__ = ["AlexNet"]
