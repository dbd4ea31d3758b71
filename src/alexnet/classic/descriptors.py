"""Local descriptors of patches on a dense grid: SIFT, color moments, HOG, local binary patterns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from alexnet.classic.config import Channel
from alexnet.data.decode import LUMA_WEIGHTS


class Descriptor(Protocol):
    """Describes square patches of photos, of several sizes on a dense grid.

    It is a frozen dataclass and a pure function on batches: equal settings give equal descriptors.
    """

    @property
    def dimension(self) -> int:
        """Length of a descriptor, D."""
        ...

    def centers(self, side: int) -> Tensor:
        """(P, 2) centers (x, y) in [0, 1] of the patches of a `side` x `side` photo; P may be 0."""
        ...

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, S, S) on the scale 0..255, or shifted by a constant -> (N, P, D), all finite."""
        ...


ORIENTATIONS, CELLS = 8, 4
"""Orientation bins; cells along a side. 4 x 4 x 8 = 128 numbers (Lowe 2004, section 6.2)."""
WINDOW = CELLS / 2
"""Standard deviation of the Gaussian, in cells: "one half the width of the descriptor window" (section
6.1)."""
CLIP = 0.2
"""Larger entries of a descriptor of length one are clipped to this; then it is normalized again (section
6.1)."""
BLUR = 1 / 6
"""Standard deviation, in cells, of the Gaussian that smooths the photo first: VLFeat's `vl_phow`, Magnif =
6."""
FLAT = 1e-3
"""Mean gradient in gray levels below which a patch is flat: rounding errors are smaller, half a level of one
color is larger."""


@dataclass(frozen=True)
class DenseSift:
    """SIFT descriptors of patches of several sides, in pixels, `step` pixels apart.

    Ordered by cell, row by row, and in a cell by orientation, counter-clockwise from the right. With `root`
    they are the square roots of descriptors that sum to one (RootSIFT: Arandjelovic, Zisserman, CVPR 2012). A
    flat patch gives zeros; outside the photo, gradients are zero. Only patch sizes smaller than the photo are
    used.
    Source: Lowe 2004, section 6.
    """

    step: int = 4
    patches: tuple[int, ...] = (16, 24, 32, 40)
    root: bool = False
    blur: float = BLUR

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 128."""
        return CELLS * CELLS * ORIENTATIONS

    def centers(self, side: int) -> Tensor:
        """(P, 2) centers (x, y) in [0, 1] of the patches of a `side` x `side` photo."""
        return centers(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, H, W) on the scale 0..255, or shifted by a constant -> (N, P, 128), of length one or
        zero.
        """
        gray = gray_planes(images)
        sizes = [self._at_size(gray, patch) for patch in self.patches if min(gray.shape[1:]) > patch]
        return torch.cat([gray.new_zeros(len(gray), 0, self.dimension), *sizes], 1)

    def _at_size(self, gray: Tensor, patch: int) -> Tensor:
        cell, (height, width) = patch / CELLS, gray.shape[1:]
        maps = oriented_gradients(gray, self.blur * cell)
        rows, columns = (
            _cell_weights(size, patch, self.step).to(gray.device, gray.dtype) for size in (height, width)
        )
        sums = rows @ (maps @ columns.T)
        cells = sums.view(len(gray), ORIENTATIONS, CELLS, len(rows) // CELLS, CELLS, len(columns) // CELLS)
        histograms = cells.permute(0, 3, 5, 2, 4, 1).flatten(3).flatten(1, 2)
        return normalized(histograms, FLAT * cell * cell, self.root)


def normalized(histograms: Tensor, flat: float, root: bool) -> Tensor:
    """Rows of (..., 128) normalized to length one, clipped, and normalized again; zeros if shorter than
    `flat`.
    """
    length = histograms.norm(dim=-1, keepdim=True)
    clipped = torch.minimum(histograms, CLIP * length)
    if root:
        total = clipped.sum(-1, keepdim=True)
        return (clipped * torch.where(length > flat, 1 / total, 0)).sqrt_()
    return clipped * torch.where(length > flat, 1 / clipped.norm(dim=-1, keepdim=True), 0)


def oriented_gradients(gray: Tensor, blur: float) -> Tensor:
    """Gray photos (N, H, W) -> (N, 8, H, W): magnitudes of gradients, each divided between two orientations.

    The photo is first smoothed by a Gaussian with standard deviation `blur`. Its outermost pixels have no
    gradient.
    """
    smooth, slope = zip(*(_blurs(size, blur) for size in gray.shape[1:]), strict=True)
    (down, across), (rise, run) = (
        [each.to(gray.device, gray.dtype) for each in pair] for pair in (smooth, slope)
    )
    right = down @ gray @ run.T
    up = -(rise @ gray @ across.T)
    size, angle = torch.hypot(right, up), torch.atan2(up, right) * (ORIENTATIONS / math.tau)
    # Angles are -4..4 eighths of a circle, where both ends are the same orientation.
    number = torch.tensor([0, 1, 2, 3, 4, -3, -2, -1], device=gray.device, dtype=gray.dtype)
    maps = (angle[:, None] - number[:, None, None]).abs_().neg_().add_(1).clamp_min_(0)
    maps[:, 4] += (-3 - angle).clamp_min_(0)
    return maps.mul_(size[:, None])


@lru_cache(maxsize=64)
def _blurs(side: int, blur: float) -> tuple[Tensor, Tensor]:
    """Two matrices (side, side): one that smooths a line of pixels, and one that smooths and differentiates.

    Both give zeros at the ends. The line is padded by reflection, without repeating the end.
    """
    reach = round(4 * blur)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * max(blur, 1e-6) ** 2))
    mirrored = (torch.arange(side)[:, None] + offsets.long()) % max(1, 2 * side - 2)
    mirrored = torch.minimum(mirrored, 2 * side - 2 - mirrored)
    smooth = torch.zeros(side, side, dtype=torch.float64)
    smooth.scatter_add_(1, mirrored, (kernel / kernel.sum()).expand(side, -1))
    slope = torch.zeros_like(smooth)
    slope[1:-1] = smooth[2:] - smooth[:-2]
    smooth[[0, -1]] = 0
    return smooth, slope


@lru_cache(maxsize=64)
def _cell_weights(side: int, patch: int, step: int) -> Tensor:
    """(4 * n, side) weight of each pixel in each cell of each patch along a line, cell by cell."""
    cell = patch / CELLS
    away = (torch.arange(side) - places(side, patch, step)[:, None]).double() / cell
    middles = torch.arange(CELLS, dtype=torch.float64) - (CELLS - 1) / 2
    triangles = (1 - (away - middles[:, None, None]).abs()).clamp_min(0)
    return (triangles * torch.exp(-(away**2) / (2 * WINDOW**2))).flatten(0, 1)


COLOR_CELLS = 4
"""Number of cells along a side of the patch."""


@dataclass(frozen=True)
class ColorMoments:
    """Means and standard deviations of the colors in 4 x 4 cells of patches, `step` pixels apart.

    Ordered by color: 16 means, row by row, then 16 standard deviations. Those of a flat patch are rounding
    errors of less than 0.2 gray levels. Only sizes smaller than the photo are used.
    Source: Perronnin, Sanchez, Mensink, ECCV 2010 (local color statistics).
    """

    step: int = 4
    patches: tuple[int, ...] = (16, 24, 32, 40)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 96."""
        return 3 * 2 * COLOR_CELLS * COLOR_CELLS

    def centers(self, side: int) -> Tensor:
        """(P, 2) centers (x, y) in [0, 1] of the patches of a `side` x `side` photo."""
        return centers(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, H, W) on the scale 0..255 -> (N, P, 96) in gray levels.

        A constant added to a photo is added to the means.
        """
        powers = torch.stack([images, images * images], 2)
        sizes = [self._at_size(powers, patch) for patch in self.patches if min(images.shape[2:]) > patch]
        return torch.cat([images.new_zeros(len(images), 0, self.dimension), *sizes], 1)

    def _at_size(self, powers: Tensor, patch: int) -> Tensor:
        rows, columns = (
            _cell_means(size, patch, self.step).to(powers.device, powers.dtype) for size in powers.shape[3:]
        )
        means = rows @ (powers @ columns.T)
        deviations = (means[:, :, 1] - means[:, :, 0].square()).clamp_min(0).sqrt()
        both = torch.stack([means[:, :, 0], deviations], 2)
        cells = both.view(
            len(powers), 3, 2, COLOR_CELLS, len(rows) // COLOR_CELLS, COLOR_CELLS, len(columns) // COLOR_CELLS
        )
        return cells.permute(0, 4, 6, 1, 2, 3, 5).flatten(3).flatten(1, 2)


@lru_cache(maxsize=64)
def _cell_means(side: int, patch: int, step: int) -> Tensor:
    """(4 * n, side) weight of each pixel in the mean of each cell of each patch along a line, by cell."""
    cell = patch // COLOR_CELLS
    away = torch.arange(side) - places(side, patch, step)[:, None] + patch // 2
    inside = away // cell == torch.arange(COLOR_CELLS)[:, None, None]
    return (inside.double() / cell).flatten(0, 1)


HOG_ORIENTATIONS = 18
"""Signed orientations; two opposite ones form one of the 9 unsigned ones."""
HOG_CLIP = 0.2
TEXTURE_WEIGHT = 0.2357
"""1 / sqrt(18), as in the authors' release (voc-release, features.cc)."""
EPSILON = 1e-4
"""Added to the energy of a block, for values in 0..255, as there: flat patches give zeros."""
NUMBERS_PER_CELL = HOG_ORIENTATIONS + HOG_ORIENTATIONS // 2 + 4


@dataclass(frozen=True)
class Hog:
    """Descriptors of patches of several sides (pixels; multiples of 4), `step` pixels apart.

    A patch has 4 x 4 cells: the inner 2 x 2 are described, and the cells around them are used for
    normalization. Patches of one color give zeros. Only patch sizes smaller than the photo are used.
    Source: Dalal and Triggs, CVPR 2005; Felzenszwalb et al., TPAMI 2010 (31 numbers per cell).
    """

    step: int = 8
    patches: tuple[int, ...] = (16, 24, 32)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 124."""
        return 4 * NUMBERS_PER_CELL

    def centers(self, side: int) -> Tensor:
        """(P, 2) centers (x, y) in [0, 1] of the patches of a `side` x `side` image."""
        return centers(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) on the scale 0..255, or shifted by a constant -> descriptors (N, P, 124)."""
        bins, magnitudes = orientations(images)
        return torch.cat([self._at_size(bins, magnitudes, patch) for patch in self.patches], 1)

    def _at_size(self, bins: Tensor, magnitudes: Tensor, patch: int) -> Tensor:
        cell, at = patch // 4, [places(size, patch, self.step) - patch // 2 for size in bins.shape[1:]]
        rows, columns = map(len, at)
        if rows * columns == 0:
            return magnitudes.new_zeros(len(bins), 0, self.dimension)
        top, left = (int(starts[0]) for starts in at)
        unit = math.gcd(self.step, cell)
        sums = cell_histograms(bins[:, top:, left:], magnitudes[:, top:, left:], HOG_ORIENTATIONS, unit)
        sums = functional.avg_pool2d(sums, cell // unit, 1, divisor_override=1)
        skip, apart = self.step // unit, cell // unit
        ring = [
            sums[:, :, y : y + (rows - 1) * skip + 1 : skip, x : x + (columns - 1) * skip + 1 : skip]
            for y in range(0, 4 * apart, apart)
            for x in range(0, 4 * apart, apart)
        ]
        histograms = torch.stack(ring, 1).flatten(3).unflatten(1, (4, 4))
        return _normalized(histograms).flatten(1, 3).transpose(1, 2)


def orientations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Orientation 0..17 (bins of 20 degrees, from 0) and magnitude of each pixel's gradient, both (N, H, W).

    The gradient is that of the color channel where it is largest: central differences, zero at the border.
    """
    down, right = torch.zeros_like(images), torch.zeros_like(images)
    down[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    right[:, :, :, 1:-1] = images[:, :, :, 2:] - images[:, :, :, :-2]
    squares, channel = (down * down + right * right).max(1, keepdim=True)
    angles = torch.atan2(down.gather(1, channel), right.gather(1, channel)) * (HOG_ORIENTATIONS / math.tau)
    bins = torch.floor(angles).to(torch.int64).remainder(HOG_ORIENTATIONS)
    return bins[:, 0], squares[:, 0].sqrt()


def _normalized(histograms: Tensor) -> Tensor:
    """Histograms (N, 4, 4, 18, P) of a patch's cells -> normalized (N, 2, 2, 31, P) of its inner cells."""
    unsigned = histograms[:, :, :, : HOG_ORIENTATIONS // 2] + histograms[:, :, :, HOG_ORIENTATIONS // 2 :]
    energy = (unsigned * unsigned).sum(3)
    pairs = energy[:, 1:] + energy[:, :-1]
    factors = (pairs[:, :, 1:] + pairs[:, :, :-1] + EPSILON).rsqrt()[:, :, :, None]
    signed, unsigned = histograms[:, 1:3, 1:3], unsigned[:, 1:3, 1:3]
    described = histograms.new_empty(*signed.shape[:3], NUMBERS_PER_CELL, signed.shape[4])
    sums, textures = described[:, :, :, :-4].zero_(), described[:, :, :, -4:]
    for number, (y, x) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        block = factors[:, y : y + 2, x : x + 2]
        clipped = (signed * block).clamp_max_(HOG_CLIP)
        sums[:, :, :, :HOG_ORIENTATIONS].add_(clipped, alpha=0.5)
        sums[:, :, :, HOG_ORIENTATIONS:].add_((unsigned * block).clamp_max_(HOG_CLIP), alpha=0.5)
        textures[:, :, :, number] = clipped.sum(3).mul_(TEXTURE_WEIGHT)
    return described


LBP_NEIGHBORS = 8
PATTERNS = LBP_NEIGHBORS * (LBP_NEIGHBORS - 1) + 3
"""59: none brighter, 7 lengths of a run x 8 rotations, all brighter, the rest."""
_DIAGONAL = math.sqrt(0.5)
_AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Row and column of the neighbors, counter-clockwise from the right."""


@dataclass(frozen=True)
class LocalBinaryPatterns:
    """Descriptors of patches of several sides (pixels), `step` pixels apart.

    Only sizes smaller than the photo are used. Patches of one color have the same pattern everywhere.
    Source: Ojala, Pietikainen, Maenpaa, TPAMI 2002 (uniform patterns).
    """

    step: int = 8
    patches: tuple[int, ...] = (16, 24, 32)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 59."""
        return PATTERNS

    def centers(self, side: int) -> Tensor:
        """(P, 2) centers (x, y) in [0, 1] of the patches of a `side` x `side` image."""
        return centers(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> descriptors (N, P, 59): square roots of the relative frequency of each
        pattern.

        The squares of a descriptor sum to 1: distances between descriptors are Hellinger distances.
        """
        codes = patterns(gray_planes(images))
        # Border pixels lack neighbors: they have no pattern and are not counted.
        known = functional.pad(torch.ones_like(codes, dtype=images.dtype), (1, 1, 1, 1))
        codes = functional.pad(codes, (1, 1, 1, 1))
        return torch.cat([self._at_size(codes, known, patch) for patch in self.patches], 1)

    def _at_size(self, codes: Tensor, known: Tensor, patch: int) -> Tensor:
        at = [places(size, patch, self.step) - patch // 2 for size in codes.shape[1:]]
        if 0 in map(len, at):
            return known.new_zeros(len(known), 0, self.dimension)
        top, left = (int(starts[0]) for starts in at)
        unit = math.gcd(self.step, patch)
        counts = cell_histograms(codes[:, top:, left:], known[:, top:, left:], PATTERNS, unit)
        shares = functional.avg_pool2d(counts, patch // unit, self.step // unit)
        shares = shares / shares.sum(1, keepdim=True)
        return shares.sqrt().flatten(2).transpose(1, 2)


def patterns(gray: Tensor) -> Tensor:
    """Pattern 0..58 of every pixel that is not at the border: (N, H, W) -> int64 (N, H - 2, W - 2).

    Diagonal neighbors lie on the circle, interpolated between four pixels. Numbered as scikit-image's
    `nri_uniform`: 0 none, then by length of the run and by rotation, 57 all, 58 not uniform.
    """
    images, height, width = gray.shape
    if min(height, width) < 3:
        return torch.zeros(
            images, max(0, height - 2), max(0, width - 2), dtype=torch.int64, device=gray.device
        )
    center = gray[:, 1:-1, 1:-1]
    rise = {(y, x): gray[:, 1 + y : height - 1 + y, 1 + x : width - 1 + x] - center for y, x in _AROUND}
    codes = torch.zeros(center.shape, dtype=torch.uint8, device=gray.device)
    for bit, (y, x) in enumerate(_AROUND):
        higher = rise[y, x]
        if y and x:
            higher = _DIAGONAL * higher + (1 - _DIAGONAL) * (rise[y, 0] + rise[0, x])
        codes |= (higher >= 0).to(torch.uint8) << bit
    return _labels().to(gray.device)[codes.to(torch.int64)]


def _labels() -> Tensor:
    """(256,) the pattern's number of each set of brighter neighbors."""
    return torch.tensor([_label([code >> bit & 1 for bit in range(LBP_NEIGHBORS)]) for code in range(256)])


def _label(bits: list[int]) -> int:
    starts = [place for place in range(LBP_NEIGHBORS) if bits[place] > bits[place - 1]]
    if len(starts) > 1:
        return PATTERNS - 1
    if not starts:
        return (PATTERNS - 2) * bits[0]
    return 1 + (sum(bits) - 1) * LBP_NEIGHBORS + (-starts[0]) % LBP_NEIGHBORS


DESCRIPTORS: dict[str, Callable[[Channel], Descriptor]] = {
    "sift": lambda channel: DenseSift(channel.step, channel.patches),
    "root-sift": lambda channel: DenseSift(channel.step, channel.patches, root=True),
    "color": lambda channel: ColorMoments(channel.step, channel.patches),
    "hog": lambda channel: Hog(channel.step, channel.patches),
    "lbp": lambda channel: LocalBinaryPatterns(channel.step, channel.patches),
}


def places(side: int, patch: int, step: int) -> Tensor:
    """(n,) pixels along `side` at which patches are centered; empty if none fits.

    A patch reaches `patch` / 2 pixels to both sides of its pixel. The grid is centered on the side.
    """
    room = side - 1 - patch
    if room < 0:
        return torch.zeros(0, dtype=torch.int64)
    return patch // 2 + room % step // 2 + step * torch.arange(room // step + 1)


def centers(side: int, patches: tuple[int, ...], step: int) -> Tensor:
    """(P, 2) centers (x, y) in [0, 1] of all patches of a square photo: size by size, then row by row."""
    grids = [torch.zeros(0, 2)]
    for patch in patches:
        along = (places(side, patch, step) + 0.5) / side
        y, x = torch.meshgrid(along, along, indexing="ij")
        grids.append(torch.stack([x, y], 2).flatten(0, 1))
    return torch.cat(grids)


def gray_planes(images: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, H, W) in the same unit.

    In this order of operations, which `data.decode.luma` does not promise: recorded results depend on it.
    """
    red, green, blue = images.unbind(1)
    return LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue


def cell_histograms(bins: Tensor, weights: Tensor, count: int, cell: int) -> Tensor:
    """Sums of `weights` (N, H, W) by `bins` (N, H, W; int64 below `count`) over cells of `cell` pixels.

    Returns (N, count, H // cell, W // cell); pixels beyond the last whole cell are left out.
    """
    images, rows, columns = len(bins), bins.shape[1] // cell, bins.shape[2] // cell
    bins, weights = (each[:, : rows * cell, : columns * cell] for each in (bins, weights))
    y, x = (torch.arange(size * cell, device=bins.device) // cell for size in (rows, columns))
    slots = (y[:, None] * columns + x) * count + bins
    sums = weights.new_zeros(images, rows * columns * count)
    sums.scatter_add_(1, slots.flatten(1), weights.flatten(1))
    return sums.view(images, rows, columns, count).permute(0, 3, 1, 2)
