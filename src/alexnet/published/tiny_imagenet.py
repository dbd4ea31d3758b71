"""Tiny ImageNet: errors of AlexNets that others trained from random weights on its 200 classes."""

from __future__ import annotations

from alexnet.published.rows import PublishedRow

_DATA = "Tiny ImageNet val"

ROWS = (
    PublishedRow(
        *("AlexNet", _DATA, ""),
        *(0.6825, 0.4124),
        "A. Wang 2024, aandyw.github.io/blog/2024/alexnet: accuracies of 31.75 and 58.76 % after 30 epochs",
    ),
    PublishedRow(
        *("AlexNet for 64 pixels", _DATA, ""),
        *(0.6332, 0.3750),
        "github.com/DavianYang/TinyImageNetChallenge, alexnet/README.md: accuracies of 36.68 and 62.50 % "
        "after 60 epochs",
    ),
    PublishedRow(
        *("five convolutions, three fully connected layers", "Tiny ImageNet test", ""),
        *(0.582, None),
        "Yao and Miller 2015, CS231n report, Tiny ImageNet Classification with CNNs, abstract",
    ),
)
