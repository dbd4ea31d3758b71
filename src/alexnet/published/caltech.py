"""Caltech-101: numbers of papers on classic systems; mean accuracies of the classes become errors."""

from __future__ import annotations

from alexnet.published.rows import PublishedRow

TRAINING_PHOTOS = 30
"""Of each class."""
MOST_TEST_PHOTOS = 50
"""Of each class (Chatfield et al. 2011, section 3)."""
_DATA = "Caltech-101, mean over classes"

ROWS = (
    PublishedRow(
        "SIFT + Fisher vectors", _DATA, "", 0.2222, None, "Chatfield et al. 2011, table 2", "sift-fv"
    ),
    PublishedRow(
        "HOG + locality-constrained linear coding",
        _DATA,
        "",
        0.2656,
        None,
        "Wang et al. 2010 (CVPR, LLC), table 1",
        "",
    ),
)
"""30 training photos of each class: accuracies of 77.78 +- 0.56 % and 73.44 %."""
