"""Every number quoted from a paper or a release, with its place there. Errors are fractions in [0, 1].

"Paper" is Krizhevsky, Sutskever, Hinton 2012; "source" the release of its program by the Computer History
Museum, whose nets have numbers: 145 is the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.published import overfeat, vgg
from alexnet.published.rows import TEST, VAL, Row

_VAL, _TEST = VAL, TEST
_TEST_2010 = "ILSVRC-2010 test"

TABLE_1 = (
    Row("sparse coding", _TEST_2010, "", 0.471, 0.282, "paper, table 1", "sparse-coding"),
    Row("SIFT + Fisher vectors", _TEST_2010, "", 0.457, 0.257, "paper, table 1", "sift-fv"),
    Row("AlexNet", _TEST_2010, "ten", 0.375, 0.170, "paper, table 1", "alexnet-2012"),
    Row("AlexNet", _TEST_2010, "center", 0.390, 0.183, "paper, section 6", "alexnet-2012"),
)

TABLE_2 = (
    Row("SIFT + Fisher vectors", _TEST, "", None, 0.262, "paper, table 2", "sift-fv"),
    Row("AlexNet", _VAL, "ten", 0.407, 0.182, "paper, table 2", "alexnet-2012"),
    Row("5 AlexNets", _VAL, "ten", 0.381, 0.164, "paper, table 2"),
    Row("5 AlexNets", _TEST, "ten", None, 0.164, "paper, table 2"),
    Row("AlexNet*, pre-trained", _VAL, "ten", 0.390, 0.166, "paper, table 2", "alexnet-2012-star"),
    Row("7 AlexNets, two of them pre-trained", _VAL, "ten", 0.367, 0.154, "paper, table 2"),
    Row("7 AlexNets, two of them pre-trained", _TEST, "ten", None, 0.153, "paper, table 2"),
)

SOURCE_LOGS = (
    Row("AlexNet, one more stage at 0.001", _VAL, "ten", 0.4025, 0.1799, "source, net 145 restarted"),
    Row("AlexNet without normalizers", _VAL, "ten", 0.4203, 0.1936, "source, net 148"),
    Row("AlexNet, pooling without overlap", _VAL, "ten", 0.4106, 0.1851, "source, net 147"),
    Row("AlexNet without layer 2's normalizers", _VAL, "ten", 0.4049, 0.1812, "source, net 167"),
    Row("one tower of AlexNet", _TEST_2010, "ten", 0.3917, 0.1823, "source, net 145-half"),
)

OTHERS = (
    Row("BVLC AlexNet", _VAL, "center", 0.429, 0.198, "BVLC/caffe, models/bvlc_alexnet", "alexnet-caffe"),
    Row("CaffeNet", _VAL, "center", 0.426, 0.196, "BVLC/caffe, models/bvlc_reference_caffenet", "caffenet"),
    Row(
        *("torchvision AlexNet", _VAL, "center", 0.43478, 0.20934),
        *("torchvision, AlexNet_Weights.IMAGENET1K_V1", "alexnet-torchvision"),
    ),
    Row(
        *("cuda-convnet2, one GPU", _VAL, "center", 0.4255, 0.1981),
        *("cuda-convnet2 wiki, TrainingExample", "alexnet-one-weird-trick"),
    ),
    Row(
        *("cuda-convnet2, one GPU", _VAL, "ten", 0.4042, 0.1815),
        *("cuda-convnet2 wiki, TrainingExample", "alexnet-one-weird-trick"),
    ),
)

_MNIST = "MNIST test"

LENETS = (
    Row("LeNet, 1989", "US zip codes test", "", 0.050, None, "LeCun et al. 1989, section 5", "lenet-1989"),
    Row("LeNet-5", _MNIST, "", 0.0095, None, "LeCun et al. 1998, section III.B", "lenet-5"),
    Row("LeNet-5, distorted digits added", _MNIST, "", 0.008, None, "LeCun et al. 1998, section III.B"),
    Row("LeNet-4, boosted, distorted digits added", _MNIST, "", 0.007, None, "LeCun et al. 1998, figure 9"),
)

ROWS = TABLE_1 + TABLE_2 + SOURCE_LOGS + OTHERS + LENETS + overfeat.ROWS + vgg.ROWS


def rows_of(recipe: str) -> tuple[Row, ...]:
    """The published results of the system that `recipe` rebuilds; empty where there are none.

    A net that says boxes too has those of the classifier that it begins with.
    """
    classifier = recipe.removesuffix("-localization").removesuffix("-detection")
    return tuple(row for row in ROWS if row.recipe == classifier)


@dataclass(frozen=True)
class Gain:
    """What the paper says one ingredient is worth: points of error it takes away, as fractions."""

    ingredient: str
    top1: float
    top5: float | None
    source: str


GAINS = (
    Gain("local response normalization", 0.014, 0.012, "paper, section 3.3"),
    Gain("overlapping pooling", 0.004, 0.003, "paper, section 3.4"),
    Gain("two towers instead of a net half as wide", 0.017, 0.012, "paper, section 3.2"),
    Gain("color noise", 0.01, None, "paper, section 4.1"),
    Gain("each of conv3, conv4, conv5", 0.02, None, "paper, section 7"),
)

RELU_TRAINING_ERROR, RELU_TIMES_FASTER = 0.25, 6
"""Paper, figure 1: where on CIFAR-10 a net of ReLUs is how many times sooner than one of tanh units."""
DROPOUT_TIMES_LONGER = 2
"""Paper, section 4.2: roughly, "the number of iterations required to converge"."""


@dataclass(frozen=True)
class Layer:
    """One layer of the 2012 net, both towers together, at 224 pixels and 1,000 classes."""

    name: str
    output_shape: tuple[int, ...]
    """Maps, rows, columns; or units."""
    weights: int
    biases: int
    multiply_adds: int
    deviation: float
    """Of the first weights, as run (source, layers-145.cfg); the paper's text has 0.01 everywhere."""
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
"""Paper, section 3.5 and figure 2, corrected where the figure misprints conv1 (253,440 units for 290,400)."""

LENET_1989_LAYERS = {
    "H1": (1_068, 19_968),
    "H2": (2_592, 38_592),
    "H3": (5_790, 5_790),
    "output": (310, 310),
}
"""Trained parameters and connections (LeCun et al. 1989, section 3.2 and 3.3)."""
LENET_1989_UNITS, LENET_1989_CONNECTIONS, LENET_1989_PARAMETERS = 1_256, 64_660, 9_760
"""LeCun et al. 1989, section 3.3; the units with the 256 of the input."""
LENET_1989_TRAINING_IMAGES, LENET_1989_TEST_IMAGES = 7_291, 2_007
LENET_1989_EPOCHS = 23
"""LeCun et al. 1989, sections 2 and 5."""
LENET_5_LAYERS = {
    "C1": (156, 122_304),
    "S2": (12, 5_880),
    "C3": (1_516, 151_600),
    "S4": (32, 2_000),
    "C5": (48_120, 48_120),
    "F6": (10_164, 10_164),
}
"""Trained parameters and connections (LeCun et al. 1998, section II.B)."""
LENET_5_CONNECTIONS, LENET_5_PARAMETERS = 340_908, 60_000
"""LeCun et al. 1998, section II.B; the connections with the 840 of the output layer, which is not trained."""
LENET_5_UNITS = 8_094
"""Without the input's, counted from the maps of LeCun et al. 1998, section II.B."""
LENET_5_EPOCHS = 20
"""LeCun et al. 1998, section III.B."""
MNIST_TRAINING_IMAGES, MNIST_TEST_IMAGES = 60_000, 10_000
"""LeCun et al. 1998, section III.A."""

CROSSING_INPUTS = {"conv3": 256 * 13 * 13, "fc6": 256 * 6 * 6, "fc7": 4_096, "fc8": 4_096}
"""Values of an image that the layers read which read both towers (paper, section 3.5 and figure 2)."""

ALEXNET_PARAMETERS = 60_965_224
"""The paper's "60 million" (abstract), counted."""
ALEXNET_MULTIPLY_ADDS = 724_406_816
ALEXNET_UNITS = 659_272
"""The paper's "650,000 neurons" (abstract), counted."""
STAR_PARAMETERS = 61_555_304
"""The "1 CNN*" of table 2, counted: a sixth convolution over the last pooling layer (source, net 146)."""
STAR_CONV6_PARAMETERS = 590_080
STAR_CONV6_MULTIPLY_ADDS = 21_233_664
FALL_2009_CLASSES = 10_184
"""Paper, section 6: the whole of ImageNet, Fall 2009 release."""
FALL_2011_CLASSES = 21_843
"""Classes of the pre-training on the Fall 2011 release (source, net 146; the paper says 22K)."""
ONE_WEIRD_TRICK_PARAMETERS = 61_100_840
"""torchvision's model page; Krizhevsky 2014, arXiv:1404.5997."""
ONE_WEIRD_TRICK_MULTIPLY_ADDS = 714_188_480

IMAGENET_MD5 = {
    "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
    "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
    "ILSVRC2012_img_test_v10102019.tar": "e1b8681fff3d63731c599df9b4b6fc02",
    "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
}
"""Of the official archives, as image-net.org publishes them."""

IMAGENET_TRAINING_IMAGES = 1_281_167
IMAGENET_VALIDATION_IMAGES = 50_000
IMAGENET_TEST_IMAGES = 100_000
"""ILSVRC-2012 development kit, readme."""
ILSVRC_BOX_OVERLAP = 0.5
"""The least intersection over union of a right box: Russakovsky et al. 2015, sections 4.2 and 4.3."""
ILSVRC_BOX_MARGIN_PIXELS = 10
"""By which a right box of a small object may be wider and higher in detection; there, section 4.3."""
IMAGENET_2010_TEST_IMAGES = 150_000
"""Paper, section 2."""

COLOR_DEVIATIONS = (121.780, 37.094, 19.721)
"""Square roots of the RGB covariance's eigenvalues on 0..255 (cuda-convnet2, make-data/input_meta)."""
CHANNEL_MEANS = (127.3, 119.7, 104.9)
"""R, G, B on 0..255 (cuda-convnet2, make-data/input_meta)."""

TORCHVISION_CHANNEL_MEANS = (0.485, 0.456, 0.406)
TORCHVISION_CHANNEL_DEVIATIONS = (0.229, 0.224, 0.225)
"""R, G, B on 0..1, of what torchvision's AlexNet sees (torchvision, transforms/_presets.py)."""
CAFFE_CHANNEL_MEANS = (104.00698793, 116.66876762, 122.67891434)
"""B, G, R on 0..255: ilsvrc_2012_mean.npy, averaged over its pixels (BVLC/caffe, python/caffe/imagenet)."""

PAPER_BATCH = 128
"""Paper, section 5."""
PAPER_EPOCHS, PAPER_IMAGES, PAPER_DAYS = 90, 1_200_000, (5, 6)
"""Paper, section 5: "roughly 90 cycles through the training set of 1.2 million images",
"five to six days"."""


@dataclass(frozen=True)
class Device:
    """What its maker says a device can do at most."""

    name: str
    float32_flops: float
    """Multiplications and additions a second."""
    bfloat16_flops: float | None
    """The same in matrix products of dense bfloat16; None where it cannot."""
    memory_bytes_per_second: float
    memory_bytes: float
    link_bytes_per_second: float
    """To another device, in each direction."""
    source: str


GTX_580 = Device(
    *("GTX 580, 3 GB", 1.581e12, None, 192.4e9, 3e9, 8e9),
    "NVIDIA, GeForce GTX 580 (512 cores at 1,544 MHz); paper, section 3.2 (3 GB); PCI Express 2.0, 16 lanes",
)
H200 = Device(
    *("H200", 67e12, 989.5e12, 4.8e12, 141e9, 450e9),
    "NVIDIA, H200 data sheet, SXM: half of the rate with sparsity; NVLink's 900 GB/s count both directions",
)


@dataclass(frozen=True)
class Machine:
    """What could train a net, or run it, in some year."""

    year: int
    name: str
    operations_per_second: float
    """Multiplications and additions of float32, at most."""
    source: str


MACHINES = (
    Machine(
        *(1989, "AT&T DSP-32C", 25e6),
        "LeCun et al. 1989: at most 12.5 million multiply-adds a second",
    ),
    Machine(
        *(1998, "one MIPS R10000, 200 MHz", 400e6),
        "LeCun et al. 1998 (the machine); we count two operations a cycle, an addition and a multiplication",
    ),
    Machine(2012, "two GTX 580", 2 * GTX_580.float32_flops, GTX_580.source),
    Machine(2024, "one H200", H200.float32_flops, H200.source),
)
"""The best of a year that the nets' authors wrote of, and one of today."""
