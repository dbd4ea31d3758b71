"""One paper, one file."""

from alexnet.models.alexnet import AlexNet
from alexnet.models.lenet import LeNet5, LeNet1989, ModernLeNet

__all__ = ["AlexNet", "LeNet5", "LeNet1989", "ModernLeNet"]
