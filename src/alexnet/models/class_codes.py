"""What LeNet-5's 84 units F6 should answer to each class: a drawing of 7 x 12 pixels, +1 ink and -1 paper.

Source: LeCun et al. 1998, section II.B and figure 3: a "stylized image of the corresponding character class"
on a 7 x 12 bitmap. The paper prints no numbers; these digits are drawn in the manner of its figure.
"""

from __future__ import annotations

import torch

WIDTH, HEIGHT = 7, 12
RANDOM_SEED = 1998

DIGITS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...#... ..###.. .#####. ....##. ####### ..####. ####### ..###.. ..###..
.##.##. ..##... .##.##. #....## ...#.#. #...... .##.... ......# .#...#. .#...#.
##...## .###... #....## .....## ..##.#. #...... ##..... .....## ##...## ##...##
#.....# ...#... .....## ....##. .##..#. #...... #...... ....##. ##...## #.....#
#.....# ...#... ....##. ..###.. ##...#. ######. #.####. ....#.. .##.##. #....##
#.....# ...#... ...##.. ....##. #....#. .....## ##...## ...##.. ..###.. .######
#.....# ...#... ..##... .....## ####### ......# #.....# ...#... .##.##. ......#
##...## ...#... .##.... ......# .....#. ......# #.....# ..##... ##...## .....##
.##.##. ...#... ##..... #....## .....#. ##...## ##...## ..#.... ##...## ....##.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""
"""The digits 0 to 9, side by side."""


def class_codes(num_classes: int) -> torch.Tensor:
    """(num_classes, 84) float32 of +1 and -1, row by row of each drawing.

    Ten classes have the digits, in the order of their labels, whatever they are. Any other number of classes,
    for which nothing is published, has random codes, always the same: two of them differ in 42 units or so.
    """
    if num_classes == 10:
        return _drawn(DIGITS)
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    bits = torch.randint(0, 2, (num_classes, WIDTH * HEIGHT), generator=generator, device="cpu")
    return 2.0 * bits - 1.0


def _drawn(text: str) -> torch.Tensor:
    rows = [row.split() for row in text.split("\n") if row]
    pixels = [[[1.0 if pixel == "#" else -1.0 for pixel in part] for part in row] for row in rows]
    return torch.tensor(pixels).transpose(0, 1).flatten(1)
