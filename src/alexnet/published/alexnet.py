"""AlexNet: the numbers of Krizhevsky, Sutskever, Hinton 2012 and of the AlexNets of others.

"Paper" is that paper; "source" the release of its program by the Computer History Museum, whose nets have
numbers: 145 is the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.published.rows import TEST, VAL, Gain, PublishedRow

_TEST_2010 = "ILSVRC-2010 test"

TABLE_1 = (
    PublishedRow("sparse coding", _TEST_2010, "", 0.471, 0.282, "paper, table 1", "sparse-coding"),
    PublishedRow("SIFT + Fisher vectors", _TEST_2010, "", 0.457, 0.257, "paper, table 1", "sift-fv"),
    PublishedRow("AlexNet", _TEST_2010, "ten", 0.375, 0.170, "paper, table 1", "alexnet-2012"),
    PublishedRow("AlexNet", _TEST_2010, "center", 0.390, 0.183, "paper, section 6", "alexnet-2012"),
)

TABLE_2 = (
    PublishedRow("SIFT + Fisher vectors", TEST, "", None, 0.262, "paper, table 2", "sift-fv"),
    PublishedRow("AlexNet", VAL, "ten", 0.407, 0.182, "paper, table 2", "alexnet-2012"),
    PublishedRow("5 AlexNets", VAL, "ten", 0.381, 0.164, "paper, table 2"),
    PublishedRow("5 AlexNets", TEST, "ten", None, 0.164, "paper, table 2"),
    PublishedRow("AlexNet*, pre-trained", VAL, "ten", 0.390, 0.166, "paper, table 2", "alexnet-2012-star"),
    PublishedRow("7 AlexNets, two of them pre-trained", VAL, "ten", 0.367, 0.154, "paper, table 2"),
    PublishedRow("7 AlexNets, two of them pre-trained", TEST, "ten", None, 0.153, "paper, table 2"),
)

SOURCE_LOGS = (
    PublishedRow("AlexNet, one more stage at 0.001", VAL, "ten", 0.4025, 0.1799, "source, net 145 restarted"),
    PublishedRow("AlexNet without normalizers", VAL, "ten", 0.4203, 0.1936, "source, net 148"),
    PublishedRow("AlexNet, pooling without overlap", VAL, "ten", 0.4106, 0.1851, "source, net 147"),
    PublishedRow(
        *("AlexNet without layer 2's normalizers, with another schedule", VAL, "ten", 0.4049, 0.1812),
        "source, net 167",
    ),
    PublishedRow(
        *("one tower of AlexNet, conv5 and fc6 to fc8 whole", _TEST_2010, "ten", 0.3917, 0.1823),
        "source, net 145-half",
    ),
)

OTHERS = (
    PublishedRow(
        "BVLC AlexNet", VAL, "center", 0.429, 0.198, "BVLC/caffe, models/bvlc_alexnet", "alexnet-caffe"
    ),
    PublishedRow(
        "CaffeNet", VAL, "center", 0.426, 0.196, "BVLC/caffe, models/bvlc_reference_caffenet", "caffenet"
    ),
    PublishedRow(
        *("torchvision AlexNet", VAL, "center", 0.43478, 0.20934),
        *("torchvision, AlexNet_Weights.IMAGENET1K_V1", "alexnet-torchvision"),
    ),
    PublishedRow(
        *("cuda-convnet2, one GPU", VAL, "center", 0.4255, 0.1981),
        *("cuda-convnet2 wiki, TrainingExample", "alexnet-one-weird-trick"),
    ),
    PublishedRow(
        *("cuda-convnet2, one GPU", VAL, "ten", 0.4042, 0.1815),
        *("cuda-convnet2 wiki, TrainingExample", "alexnet-one-weird-trick"),
    ),
)

GAINS = (
    Gain("local response normalization", 0.014, 0.012, "paper, section 3.3"),
    Gain("overlapping pooling", 0.004, 0.003, "paper, section 3.4"),
    Gain("two towers instead of a network half as wide", 0.017, 0.012, "paper, section 3.2"),
    Gain("color noise", 0.01, None, "paper, section 4.1"),
    Gain("each of conv3, conv4, conv5", 0.02, None, "paper, section 7"),
)

RELU_TRAINING_ERROR, RELU_TIMES_FASTER = 0.25, 6
"""Paper, figure 1: the training error on CIFAR-10, and how many times faster ReLUs reach it than tanh
units."""
DROPOUT_TIMES_LONGER = 2
"""Paper, section 4.2: roughly, "the number of iterations required to converge"."""


@dataclass(frozen=True)
class Layer:
    """One layer of the 2012 model, both towers together, at 224 pixels and 1,000 classes."""

    name: str
    output_shape: tuple[int, ...]
    """Maps, rows, columns; or units."""
    weights: int
    biases: int
    multiply_adds: int
    deviation: float
    """Standard deviation of the initial weights, as run (source, layers-145.cfg); the paper's text has 0.01
    everywhere."""
    first_bias: float


ALEXNET_LAYERS = (
    Layer("conv1", (96, 55, 55), 34_848, 96, 105_415_200, 0.01, 0),
    Layer("conv2", (256, 27, 27), 307_200, 256, 223_948_800, 0.01, 1),
    Layer("conv3", (384, 13, 13), 884_736, 384, 149_520_384, 0.03, 0),
    Layer("conv4", (384, 13, 13), 663_552, 384, 112_140_288, 0.03, 1),
    Layer("conv5", (256, 13, 13), 442_368, 256, 74_760_192, 0.03, 1),
    Layer("fc6", (4096,), 37_748_736, 4_096, 37_748_736, 0.01, 1),
    Layer("fc7", (4096,), 16_777_216, 4_096, 16_777_216, 0.01, 1),
    Layer("fc8", (1000,), 4_096_000, 1_000, 4_096_000, 0.01, 0),
)
"""Paper, section 3.5 and figure 2, corrected for conv1, which the figure misprints (253,440 units instead of
290,400)."""

CROSSING_INPUTS = {"conv3": 256 * 13 * 13, "fc6": 256 * 6 * 6, "fc7": 4_096, "fc8": 4_096}
"""Number of input values per image of the layers that read both towers (paper, section 3.5 and figure 2)."""

ALEXNET_PARAMETERS = 60_965_224
"""The paper's "60 million" (abstract), counted."""
ALEXNET_MULTIPLY_ADDS = 724_406_816
ALEXNET_UNITS = 659_272
"""The paper's "650,000 neurons" (abstract), counted."""
STAR_PARAMETERS = 61_555_304
"""The "1 CNN*" of table 2, counted: a sixth convolution after the last pooling layer (source, net 146)."""
STAR_CONV6_PARAMETERS = 590_080
STAR_CONV6_MULTIPLY_ADDS = 21_233_664
FALL_2009_CLASSES = 10_184
"""Paper, section 6: the whole of ImageNet, Fall 2009 release."""
FALL_2011_CLASSES = 21_843
"""Classes of the pre-training on the Fall 2011 release (source, net 146; the paper gives 22K)."""
ONE_WEIRD_TRICK_PARAMETERS = 61_100_840
"""torchvision's model page; Krizhevsky 2014, arXiv:1404.5997."""
ONE_WEIRD_TRICK_MULTIPLY_ADDS = 714_188_480

COLOR_DEVIATIONS = (121.780, 37.094, 19.721)
"""Square roots of the RGB covariance's eigenvalues on 0..255 (cuda-convnet2, make-data/input_meta)."""
CHANNEL_MEANS = (127.3, 119.7, 104.9)
"""R, G, B on 0..255 (cuda-convnet2, make-data/input_meta)."""

TORCHVISION_CHANNEL_MEANS = (0.485, 0.456, 0.406)
TORCHVISION_CHANNEL_DEVIATIONS = (0.229, 0.224, 0.225)
"""R, G, B on 0..1, for the input of torchvision's AlexNet (torchvision, transforms/_presets.py)."""
CAFFE_CHANNEL_MEANS = (104.00698793, 116.66876762, 122.67891434)
"""B, G, R on 0..255: ilsvrc_2012_mean.npy, averaged over its pixels (BVLC/caffe, python/caffe/imagenet)."""

PAPER_BATCH = 128
"""Paper, section 5."""
PAPER_EPOCHS, PAPER_IMAGES, PAPER_DAYS = 90, 1_200_000, (5, 6)
"""Paper, section 5: "roughly 90 cycles through the training set of 1.2 million images",
"five to six days"."""
