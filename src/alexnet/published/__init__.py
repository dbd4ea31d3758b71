"""Every number quoted from a paper or a release, with its place there: one file per paper.

Errors are fractions in [0, 1].
"""

from __future__ import annotations

from alexnet.published import alexnet, devices, imagenet, lenet, overfeat, vgg
from alexnet.published.rows import Row

__all__ = ["RESULTS", "ROWS", "Row", "alexnet", "devices", "imagenet", "lenet", "overfeat", "rows_of", "vgg"]

RESULTS: dict[str, tuple[Row, ...]] = {
    "ILSVRC-2010 (paper, table 1)": alexnet.TABLE_1,
    "ILSVRC-2012 (paper, table 2)": alexnet.TABLE_2,
    "The paper's authors, from the logs in their source": alexnet.SOURCE_LOGS,
    "AlexNets of others": alexnet.OTHERS,
    "LeNet": lenet.ROWS,
    "OverFeat": overfeat.ROWS,
    "VGG": vgg.ROWS,
}
"""All published errors, by the title of their table."""
ROWS = tuple(row for rows in RESULTS.values() for row in rows)


def rows_of(recipe: str) -> tuple[Row, ...]:
    """The published results of the system that `recipe` reproduces; empty if there are none.

    A localizer or detector has those of the classifier that it is initialized from.
    """
    classifier = recipe.removesuffix("-localization").removesuffix("-detection")
    return tuple(row for row in ROWS if row.recipe == classifier)
