"""Untrained models for `torch.hub.load(<this repository>, "alexnet_2012", num_classes=10, crop=112)`.

For trained weights, install the package: `alexnet.load("pretrained")` is the network that comes with it,
`alexnet.load(run)` one that you have trained.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from alexnet.models.alexnet import AlexNet
from alexnet.models.config import VGG_VARIANTS, chosen
from alexnet.models.lenet import LeNet5, LeNet1989, ModernLeNet
from alexnet.models.vgg import VGG

dependencies = ["torch", "numpy", "safetensors", "pyarrow", "simplejpeg"]


def alexnet_2012(num_classes: int = 1000, crop: int = 224) -> AlexNet:
    """AlexNet as it was run in 2012; its input is gray levels (0 to 255) minus the mean."""
    return AlexNet("2012", num_classes, crop)


def alexnet_paper(num_classes: int = 1000, crop: int = 224) -> AlexNet:
    """AlexNet as the paper describes it."""
    return AlexNet("paper", num_classes, crop)


def alexnet_caffe(num_classes: int = 1000, crop: int = 227) -> AlexNet:
    """BVLC's AlexNet."""
    return AlexNet("caffe", num_classes, crop)


def caffenet(num_classes: int = 1000, crop: int = 227) -> AlexNet:
    """BVLC's CaffeNet: pools before it normalizes."""
    return AlexNet("caffenet", num_classes, crop)


def alexnet_one_weird_trick(num_classes: int = 1000, crop: int = 224) -> AlexNet:
    """The single-tower model of 2014 that torchvision calls AlexNet."""
    return AlexNet("one-weird-trick", num_classes, crop)


def alexnet_modern(num_classes: int = 1000, crop: int = 224) -> AlexNet:
    """The same eight layers with batch normalization. Its input is normalized."""
    return AlexNet("modern", num_classes, crop)


def vgg(variant: str = "D", num_classes: int = 1000, crop: int = 224, batchnorm: bool = False) -> VGG:
    """VGG A, A-LRN, B, C, D or E, optionally with batch normalization; its input is gray levels minus the
    mean.
    """
    return VGG(replace(chosen(VGG_VARIANTS, variant, "vgg"), batchnorm=batchnorm), num_classes, crop)


def lenet_1989(num_classes: int = 10, crop: int = 16, channels: int = 1) -> LeNet1989:
    """The model of LeCun et al. 1989; its input runs from -1 (paper) to 1 (ink)."""
    return LeNet1989(num_classes, crop, channels)


def lenet_5(num_classes: int = 10, crop: int = 32, channels: int = 1) -> LeNet5:
    """LeNet-5 of LeCun et al. 1998; its input runs from -0.1 (paper) to 1.175 (ink)."""
    return LeNet5(num_classes, crop, channels)


def lenet_modern(num_classes: int = 10, crop: int = 28, channels: int = 1) -> ModernLeNet:
    """A modern LeNet-5. Its input is normalized."""
    return ModernLeNet(num_classes, crop, channels)
