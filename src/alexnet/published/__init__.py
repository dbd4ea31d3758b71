"""Every number quoted from a paper or a release, with its place there: one file per paper.

Errors are fractions in [0, 1].
"""

from __future__ import annotations

from alexnet.published import alexnet, devices, imagenet, lenet, overfeat, vgg
from alexnet.published.rows import PublishedRow

__all__ = [
    "RESULTS",
    "ROWS",
    "PublishedRow",
    "alexnet",
    "devices",
    "imagenet",
    "lenet",
    "overfeat",
    "rows_of",
    "vgg",
]

RESULTS: dict[str, tuple[PublishedRow, ...]] = {
    "ILSVRC-2010 (paper, table 1)": alexnet.TABLE_1,
    "ILSVRC-2012 (paper, table 2)": alexnet.TABLE_2,
    "The paper's authors, from the logs in their source": alexnet.SOURCE_LOGS,
    "AlexNets of others": alexnet.OTHERS,
    "LeNet": lenet.ROWS,
    "OverFeat": overfeat.ROWS,
    "VGG": vgg.ROWS,
}
"""All published errors on ImageNet and on digits, by the title of their table."""
ROWS = tuple(row for rows in RESULTS.values() for row in rows)

_CLASSIFIERS = {"overfeat-fast-localization": "overfeat-fast", "overfeat-fast-detection": "overfeat-fast"}
"""What recipes without published class errors are initialized from."""


def rows_of(recipe: str) -> tuple[PublishedRow, ...]:
    """The published results of the system that `recipe` reproduces; empty if there are none.

    A localizer or detector has those of the classifier that it is initialized from.
    """
    return tuple(row for row in ROWS if row.recipe == _CLASSIFIERS.get(recipe, recipe))
