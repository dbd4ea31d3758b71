"""ImageNet: the official archives, numbers of images, and the rules of the box challenges."""

from __future__ import annotations

from dataclasses import dataclass

IMAGENET_MD5 = {
    "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
    "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
    "ILSVRC2012_img_test_v10102019.tar": "e1b8681fff3d63731c599df9b4b6fc02",
    "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
}
"""MD5 of the official archives, as published by image-net.org."""

IMAGENET_TRAINING_IMAGES = 1_281_167
IMAGENET_VALIDATION_IMAGES = 50_000
IMAGENET_TEST_IMAGES = 100_000
"""ILSVRC-2012 development kit, readme."""
ILSVRC_BOX_OVERLAP = 0.5
"""The minimum intersection over union of a correct box: Russakovsky et al. 2015, sections 4.2 and 4.3."""
ILSVRC_BOX_MARGIN_PIXELS = 10
"""How much wider and higher a correct box of a small object may be in detection (section 4.3)."""
IMAGENET_2010_TEST_IMAGES = 150_000
"""Paper, section 2."""


@dataclass(frozen=True)
class Winner:
    """The entry with the lowest top-5 error in a year's classification task, on that year's test set."""

    year: int
    team: str
    method: str
    top5: float
    """A fraction."""
    source: str
    convolutional: bool = True
    """Whether it was a convolutional network."""
    own_data: float | None = None
    """The same team's error without outside data, if `top5` is with it."""

    @property
    def without_outside_data(self) -> float:
        """The team's error without outside data."""
        return self.top5 if self.own_data is None else self.own_data


_REVIEW = "Russakovsky et al. 2015 (arXiv:1409.0575), section 6"
_VGG = "Simonyan and Zisserman 2014, section 4.5 and table 7"
_LATER = "Hu et al. 2018 (arXiv:1709.01507), section 1"
WINNERS = (
    Winner(2010, "NEC-UIUC", "sparse coding, SVM", 0.282, _REVIEW, convolutional=False),
    Winner(2011, "XRCE", "Fisher vectors, SVM", 0.258, _REVIEW, convolutional=False),
    Winner(2012, "SuperVision", "7 AlexNets, 2 of them pre-trained", 0.153, "paper, table 2", own_data=0.164),
    Winner(2013, "Clarifai", "several networks", 0.112, _VGG, own_data=0.117),
    Winner(2014, "GoogLeNet", "7 networks", 0.067, _VGG),
    Winner(2015, "MSRA", "residual networks", 0.0357, "He et al. 2015 (arXiv:1512.03385), abstract"),
    Winner(2016, "Trimps-Soushen", "several networks", 0.02991, _LATER),
    Winner(2017, "WMW", "squeeze-and-excitation networks", 0.02251, _LATER),
)
"""ILSVRC's classification task, the lowest error of each year."""
