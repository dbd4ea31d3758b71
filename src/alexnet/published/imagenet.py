"""ImageNet: the official archives, numbers of images, and the rules of the box challenges."""

from __future__ import annotations

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
