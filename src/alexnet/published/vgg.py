"""VGG: the numbers of Simonyan and Zisserman 2014 (arXiv:1409.1556), and of torchvision's models."""

from __future__ import annotations

from alexnet.published.rows import TEST, VAL, PublishedRow

MILLIONS_OF_PARAMETERS = {"A": 133, "A-LRN": 133, "B": 133, "C": 134, "D": 138, "E": 144}
"""Table 2."""
PARAMETERS = {
    "A": 132_863_336,
    "A-LRN": 132_863_336,
    "B": 133_047_848,
    "C": 133_638_952,
    "D": 138_357_544,
    "E": 143_667_240,
}
"""Table 2, counted from table 1; A, B, D and E are as torchvision counts them."""
BATCHNORM_PARAMETERS = {"A": 132_868_840, "B": 133_053_736, "D": 138_365_992, "E": 143_678_248}
"""Parameters with batch normalization: torchvision, VGG11_BN_Weights ... VGG19_BN_Weights."""
MULTIPLY_ADDS = {
    "A": 7_609_090_048,
    "A-LRN": 7_609_090_048,
    "B": 11_308_466_176,
    "C": 11_770_888_192,
    "D": 15_470_264_320,
    "E": 19_632_062_464,
}
"""Multiply-adds at 224 pixels and 1,000 classes, counted from table 1; torchvision gives 7.609, 11.308,
15.470 and 19.632 billion for A, B, D and E."""
WEIGHT_LAYERS = {"A": 11, "A-LRN": 11, "B": 13, "C": 16, "D": 16, "E": 19}
"""Table 1."""
BATCH, EPOCHS, UPDATES = 256, 74, 370_000
"""Section 3.1."""

_JITTERED = "[256; 512]"
_MANY = {"256": "224,256,288", "384": "352,384,416", _JITTERED: "256,384,512"}
"""Test scales Q of tables 4 and 5, by training scale S (section 4.2)."""
_THREE = _MANY[_JITTERED]


def _row(net: str, trained: str, views: str, top1: float, top5: float, table: int) -> PublishedRow:
    """`dense` alone is at the model's own test scale Q: S, or the middle of its range."""
    return PublishedRow(
        *(f"VGG {net}, S = {trained}", VAL, views, top1, top5),
        *(f"Simonyan and Zisserman 2014, table {table}", f"vgg-{net.lower()}"),
    )


TABLE_3 = (
    _row("A", "256", "dense", 0.296, 0.104, 3),
    _row("A-LRN", "256", "dense", 0.297, 0.105, 3),
    _row("B", "256", "dense", 0.287, 0.099, 3),
    _row("C", "256", "dense", 0.281, 0.094, 3),
    _row("C", "384", "dense", 0.281, 0.093, 3),
    _row("C", _JITTERED, "dense", 0.273, 0.088, 3),
    _row("D", "256", "dense", 0.270, 0.088, 3),
    _row("D", "384", "dense", 0.268, 0.087, 3),
    _row("D", _JITTERED, "dense", 0.256, 0.081, 3),
    _row("E", "256", "dense", 0.273, 0.090, 3),
    _row("E", "384", "dense", 0.269, 0.087, 3),
    _row("E", _JITTERED, "dense", 0.255, 0.080, 3),
)
"""Table 3: one test scale."""

TABLE_4 = tuple(
    _row(net, trained, f"dense@{_MANY[trained]}", top1, top5, 4)
    for net, trained, top1, top5 in (
        ("B", "256", 0.282, 0.096),
        ("C", "256", 0.277, 0.092),
        ("C", "384", 0.278, 0.092),
        ("C", _JITTERED, 0.263, 0.082),
        ("D", "256", 0.266, 0.086),
        ("D", "384", 0.265, 0.086),
        ("D", _JITTERED, 0.248, 0.075),
        ("E", "256", 0.269, 0.087),
        ("E", "384", 0.267, 0.086),
        ("E", _JITTERED, 0.248, 0.075),
    )
)
"""Table 4: three test scales; D and E with jittered S are also in table 5."""

TABLE_5 = tuple(
    _row(net, _JITTERED, f"{views}@{_THREE}", top1, top5, 5)
    for net, views, top1, top5 in (
        ("D", "multi-crop", 0.246, 0.075),
        ("D", "dense+multi-crop", 0.244, 0.072),
        ("E", "multi-crop", 0.246, 0.074),
        ("E", "dense+multi-crop", 0.244, 0.071),
    )
)

_D_AND_E = f"VGG D and E, S = {_JITTERED}"
_SEVEN = "7 VGGs: C, D, E of S = 256 and 384, D of S = [256; 512], each dense at three scales"
_TABLE_6 = "Simonyan and Zisserman 2014, table 6"
TABLE_6 = (
    PublishedRow(_SEVEN, VAL, "", 0.247, 0.075, _TABLE_6),
    PublishedRow(_SEVEN, TEST, "", None, 0.073, _TABLE_6),
    PublishedRow(_D_AND_E, VAL, f"dense@{_THREE}", 0.240, 0.071, _TABLE_6),
    PublishedRow(_D_AND_E, TEST, f"dense@{_THREE}", None, 0.070, _TABLE_6),
    PublishedRow(_D_AND_E, VAL, f"multi-crop@{_THREE}", 0.239, 0.072, _TABLE_6),
    PublishedRow(_D_AND_E, VAL, f"dense+multi-crop@{_THREE}", 0.237, 0.068, _TABLE_6),
    PublishedRow(_D_AND_E, TEST, f"dense+multi-crop@{_THREE}", None, 0.068, _TABLE_6),
)

_BEST = f"VGG E, S = {_JITTERED}"
_TABLE_7 = "Simonyan and Zisserman 2014, table 7"
_OTHERS: tuple[tuple[str, float | None, float | None, float | None], ...] = (
    ("GoogLeNet", None, 0.079, 0.079),
    ("7 GoogLeNets", None, 0.067, 0.067),
    ("11 nets of MSRA", None, None, 0.081),
    ("MSRA", 0.279, 0.091, 0.091),
    ("several nets of Clarifai", None, None, 0.117),
    ("Clarifai", None, None, 0.125),
    ("6 nets of Zeiler and Fergus", 0.360, 0.147, 0.148),
    ("Zeiler and Fergus", 0.375, 0.160, 0.161),
    ("7 OverFeats", 0.340, 0.132, 0.136),
    ("OverFeat", 0.357, 0.142, None),
    ("5 AlexNets", 0.381, 0.164, 0.164),
    ("AlexNet", 0.407, 0.182, None),
)
TABLE_7 = (
    PublishedRow(_BEST, TEST, f"dense+multi-crop@{_THREE}", None, 0.070, _TABLE_7, "vgg-e"),
    PublishedRow(
        _BEST, TEST, f"dense@{_THREE}", None, 0.073, "Simonyan and Zisserman 2014, section 4.2", "vgg-e"
    ),
    *(
        PublishedRow(name, VAL, "", top1, top5, _TABLE_7)
        for name, top1, top5, _ in _OTHERS
        if top5 is not None
    ),
    *(PublishedRow(name, TEST, "", None, test, _TABLE_7) for name, _, _, test in _OTHERS if test is not None),
)
"""The part of table 7 that is not in tables 5 and 6: the best model on the test set, and the models of
others."""

TORCHVISION = tuple(
    PublishedRow(
        *(f"torchvision {name}", VAL, "center", top1, top5),
        *(f"torchvision, {name}_Weights.IMAGENET1K_V1", recipe),
    )
    for name, recipe, top1, top5 in (
        ("VGG11", "vgg-a", 0.30980, 0.11372),
        ("VGG11_BN", "vgg-a-batchnorm", 0.29630, 0.10190),
        ("VGG13", "vgg-b", 0.30072, 0.10754),
        ("VGG13_BN", "vgg-b-batchnorm", 0.28414, 0.09626),
        ("VGG16", "vgg-d", 0.28408, 0.09618),
        ("VGG16_BN", "vgg-d-batchnorm", 0.26640, 0.08484),
        ("VGG19", "vgg-e", 0.27624, 0.09124),
        ("VGG19_BN", "vgg-e-batchnorm", 0.25782, 0.08158),
    )
)

ROWS = TABLE_3 + TABLE_4 + TABLE_5 + TABLE_6 + TABLE_7 + TORCHVISION
