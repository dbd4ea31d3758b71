"""One paper, one file."""

from alexnet.models.alexnet import AlexNet
from alexnet.models.lenet import LeNet5, LeNet1989, ModernLeNet
from alexnet.models.overfeat import OverFeat
from alexnet.models.vgg import VGG

__all__ = ["VGG", "AlexNet", "LeNet5", "LeNet1989", "ModernLeNet", "OverFeat"]
