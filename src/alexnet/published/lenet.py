"""LeNet: the numbers of LeCun et al. 1989 and 1998, and of MNIST."""

from __future__ import annotations

from alexnet.published.rows import PublishedRow

_MNIST = "MNIST test"

ROWS = (
    PublishedRow(
        "LeNet, 1989", "US zip codes test", "", 0.050, None, "LeCun et al. 1989, section 5", "lenet-1989"
    ),
    PublishedRow("LeNet-5", _MNIST, "", 0.0095, None, "LeCun et al. 1998, section III.B", "lenet-5"),
    PublishedRow(
        "LeNet-5, distorted digits added", _MNIST, "", 0.008, None, "LeCun et al. 1998, section III.B"
    ),
    PublishedRow(
        "LeNet-4, boosted, distorted digits added", _MNIST, "", 0.007, None, "LeCun et al. 1998, figure 9"
    ),
)

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
"""Units without those of the input, counted from the maps of LeCun et al. 1998, section II.B."""
LENET_5_EPOCHS = 20
"""LeCun et al. 1998, section III.B."""
MNIST_TRAINING_IMAGES, MNIST_TEST_IMAGES = 60_000, 10_000
"""LeCun et al. 1998, section III.A."""
