"""OverFeat: the numbers of Sermanet et al. 2013 (arXiv:1312.6229)."""

from __future__ import annotations

from alexnet.published.rows import VAL, BoxRow, PublishedRow

PARAMETERS = {"fast": 145_920_872, "accurate": 144_656_488}
MULTIPLY_ADDS = {"fast": 2_801_403_904, "accurate": 5_355_446_784}
"""Counted, for the models of tables 1 and 3, at 231 and 221 pixels and 1,000 classes."""
COUNTS_IN_PAPER = {"fast": (145e6, 2_810e6), "accurate": (144e6, 5_369e6)}
"""Table 4: parameters and connections as printed."""
SCALES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
"""Table 5: height and width of the images of the six scales."""
MAPS = (
    *((17, 17, 3, 3), (20, 23, 6, 9), (23, 29, 9, 15)),
    *((29, 35, 15, 21), (32, 38, 18, 24), (35, 44, 21, 30)),
)
"""Table 5: height and width of the last convolution's maps and of the class map at each scale. It misprints
the fifth's width, 38, as 35: a class map 24 wide needs it."""
_LOCALIZED = "Sermanet et al. 2013, section 4.4 and figure 9"
LOCALIZATION = (
    BoxRow("OverFeat, one box for all classes, center crop", VAL, 0.40, _LOCALIZED),
    BoxRow("OverFeat, one box for all classes, two scales", VAL, 0.315, _LOCALIZED),
    BoxRow("OverFeat, one box for all classes, four scales", VAL, 0.300, _LOCALIZED),
    BoxRow("OverFeat, one box for all classes, beside the next", VAL, 0.313, _LOCALIZED),
    BoxRow("OverFeat, a box for each class", VAL, 0.441, _LOCALIZED),
)
"""Top-5 errors of class and box. The text compares 44.1 % with 31.3 %; it names no scales for the two."""
_DETECTED = "Sermanet et al. 2013, section 5"
DETECTION = (
    BoxRow("OverFeat, in the contest", "ILSVRC-2013 detection test", 0.194, _DETECTED),
    BoxRow("OverFeat, after the contest", "ILSVRC-2013 detection test", 0.243, _DETECTED),
)
"""Mean average precisions."""

_TABLE_2 = "Sermanet et al. 2013, table 2"
_FAST, _ACCURATE = "overfeat-fast", "overfeat-accurate"
_ONE, _FOUR, _SIX = "dense@245", "dense@245,281,389,461", "dense@245,281,317,389,425,461"

ROWS = (
    PublishedRow("OverFeat fast, coarse stride", VAL, "", 0.3928, 0.1712, _TABLE_2, _FAST),
    PublishedRow("OverFeat fast", VAL, _ONE, 0.3901, 0.1697, _TABLE_2, _FAST),
    PublishedRow("OverFeat fast", VAL, _FOUR, 0.3857, 0.1639, _TABLE_2, _FAST),
    PublishedRow("OverFeat fast", VAL, _SIX, 0.3812, 0.1627, _TABLE_2, _FAST),
    PublishedRow("OverFeat accurate", VAL, "ten", 0.3560, 0.1471, _TABLE_2, _ACCURATE),
    PublishedRow("OverFeat accurate", VAL, _FOUR, 0.3574, 0.1418, _TABLE_2, _ACCURATE),
    PublishedRow("7 OverFeat fast", VAL, _FOUR, 0.3510, 0.1386, _TABLE_2),
    PublishedRow("7 OverFeat accurate", VAL, _FOUR, 0.3396, 0.1324, _TABLE_2),
)
