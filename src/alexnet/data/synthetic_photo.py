"""One made-up photo: a textured thing in some pose before a cluttered background, in some light.

Only shape and texture tell the class. Colours, sizes, places, light, clutter, blur and grain come from the
same distributions for every class, so that no average of colours gives it away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from alexnet.data.synthetic_objects import SHAPES, TEXTURES, Plane

_SIZES = ((500, 375), (500, 333), (375, 500), (333, 500), (500, 500), (400, 300), (640, 480))
_SIZE_SHARES = (0.5, 0.14, 0.14, 0.06, 0.05, 0.06, 0.05)
_SMALLEST_SHARE, _LARGEST_SHARE = 0.27, 0.46
"""Radius of the thing, as a share of the photo's shorter side."""
_BLURRED, _OCCLUDED = 0.3, 0.25
"""Shares of the photos."""

Color = NDArray[np.floating[Any]]
"""(3, 1, 1) float32: red, green and blue, 0..255."""
Scene = NDArray[np.floating[Any]]
"""(3, height, width) float32, 0..255: planes, on which numpy is three times as fast as on pixels."""


@dataclass(frozen=True)
class _Pose:
    """Where the thing is (centre and radius in pixels), its turn (radians), stretch, and lean backwards."""

    x: float
    y: float
    radius: float
    turn: float
    stretch: float
    lean: tuple[float, float]


def draw_photo(shape: str, texture: str, random: np.random.Generator) -> Image.Image:
    """An RGB photo of a thing of this shape and texture; everything else is drawn from `random`.

    Width and height are those common in ILSVRC: mostly 500x375, some upright, give or take a few pixels.
    """
    width, height = _size(random)
    pose = _pose(width, height, random)
    photo = _background(width, height, random)
    _clutter(photo, width, height, random)
    scene = np.asarray(photo).transpose(2, 0, 1).astype(np.float32, order="C")
    _put_thing(scene, shape, texture, pose, random)
    if random.random() < _OCCLUDED:
        _occlude(scene, pose, random)
    scene *= _light(width, height, random)
    return _camera(scene, random)


def _size(random: np.random.Generator) -> tuple[int, int]:
    width, height = _SIZES[random.choice(len(_SIZES), p=_SIZE_SHARES)]
    return width - int(random.integers(0, 12)), height - int(random.integers(0, 12))


def _pose(width: int, height: int, random: np.random.Generator) -> _Pose:
    """The thing stays within the central square, but for a little."""
    short = min(width, height)
    radius = short * random.uniform(_SMALLEST_SHARE, _LARGEST_SHARE)
    freedom = max(0.52 * short - radius, 0.05 * short)
    x, y = random.uniform(-freedom, freedom, 2)
    turn, stretch = random.uniform(-0.6, 0.6), random.uniform(0.85, 1.18)
    lean = random.uniform(-0.22, 0.22), random.uniform(-0.22, 0.22)
    return _Pose(width / 2 + x, height / 2 + y, radius, turn, stretch, lean)


def _color(random: np.random.Generator, darkest: float, brightest: float) -> Color:
    """Any hue, pale to strong, with a mean of the three channels in the given range of 0..1."""
    hue = random.uniform(0, 1, 3)
    tint = random.uniform(0.1, 0.9) * (hue - hue.mean())
    color = np.clip((random.uniform(darkest, brightest) + tint) * 255, 0, 255)
    return color.astype(np.float32)[:, None, None]


def _fractal(rows: int, columns: int, random: np.random.Generator) -> Plane:
    """Noise of about 1/f amplitude, 0..1: octaves from coarse to fine, each about half as strong."""
    total, cells, strength = np.zeros((rows, columns), np.float32), 3, 1.0
    while cells < max(rows, columns):
        grid = Image.fromarray(random.random((cells, cells), np.float32))
        total += strength * np.asarray(grid.resize((columns, rows), Image.Resampling.BICUBIC))
        cells, strength = cells * 2, strength * random.uniform(0.4, 0.75)
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _background(width: int, height: int, random: np.random.Generator) -> Image.Image:
    """Two noise fields over three colours, made at a third of the size (fine grain comes with the camera)."""
    rows, columns = height // 3, width // 3
    colors = [_color(random, 0.1, 0.9) for _ in range(3)]
    first, second = (_fractal(rows, columns, random) for _ in range(2))
    mixed = colors[0] + (colors[1] - colors[0]) * first
    mixed += (colors[2] - mixed) * second * random.uniform(0.2, 1)
    return _image(mixed).resize((width, height), Image.Resampling.BICUBIC)


def _clutter(photo: Image.Image, width: int, height: int, random: np.random.Generator) -> None:
    """Draws a few bars and ragged patches of one colour: none of them has a class's shape and texture."""
    draw = ImageDraw.Draw(photo)
    for _ in range(random.integers(2, 9)):
        fill = tuple(int(value) for value in _color(random, 0.05, 0.95).ravel())
        x, y = random.uniform(0, width), random.uniform(0, height)
        if random.random() < 0.4:
            end = random.uniform(-0.6, 0.6, 2) * (width, height) + (x, y)
            draw.line([(x, y), (end[0], end[1])], fill, width=int(random.integers(2, 14)))
        else:
            angles = np.sort(random.uniform(0, 2 * np.pi, 7))
            radii = random.uniform(0.03, 0.2, 7) * min(width, height)
            corners = zip(x + radii * np.cos(angles), y + radii * np.sin(angles), strict=True)
            draw.polygon(list(corners), fill)


def _put_thing(scene: Scene, shape: str, texture: str, pose: _Pose, random: np.random.Generator) -> None:
    """Paints the thing over the scene, with its shadow and its own shading."""
    reach = 1.4 * pose.radius
    left, right = max(int(pose.x - reach), 0), min(int(pose.x + reach), scene.shape[2])
    top, bottom = max(int(pose.y - reach), 0), min(int(pose.y + reach), scene.shape[1])
    u, v = _own_coordinates(np.arange(left, right), np.arange(top, bottom), pose)
    first, second = _two_colors(random)
    inside = SHAPES[shape](u, v)
    opacity = np.clip(0.5 + inside * pose.radius, 0, 1)
    shadow = random.uniform(0, 0.5) * np.clip(0.8 + 5 * inside, 0, 1)
    across, down = random.uniform(-0.22, 0.22), random.uniform(-0.22, 0.22)
    shading = (1 + across * u + down * v) * opacity
    right_by, down_by = random.uniform(-0.12, 0.12), random.uniform(-0.12, 0.12)
    share = TEXTURES[texture](u + right_by, v + down_by) * shading
    patch = scene[:, top:bottom, left:right]
    patch *= (1 - shadow) * (1 - opacity)
    patch += first * shading + (second - first) * share


def _two_colors(random: np.random.Generator) -> tuple[Color, Color]:
    """A dark and a bright colour, in either order, so that a texture is no hint of its mean."""
    dark, bright = _color(random, 0.02, 0.35), _color(random, 0.65, 1.0)
    return (dark, bright) if random.random() < 0.5 else (bright, dark)


def _own_coordinates(columns: NDArray[np.int64], rows: NDArray[np.int64], pose: _Pose) -> tuple[Plane, Plane]:
    """The thing's coordinates of a grid of pixels: turned, stretched, and seen in mild perspective."""
    x = ((columns - pose.x) / pose.radius).astype(np.float32)[None, :]
    y = ((rows - pose.y) / pose.radius).astype(np.float32)[:, None]
    depth = 1 + pose.lean[0] * x + pose.lean[1] * y
    cosine, sine = math.cos(pose.turn), math.sin(pose.turn)
    u = (cosine * x + sine * y) * pose.stretch / depth
    v = (cosine * y - sine * x) / pose.stretch / depth
    return u, v


def _occlude(scene: Scene, pose: _Pose, random: np.random.Generator) -> None:
    """Lays a band of one colour across a rim of the thing: up to a third of it goes."""
    angle, color = random.uniform(0, 2 * np.pi), _color(random, 0.05, 0.95)
    rows, columns = np.ogrid[: scene.shape[1], : scene.shape[2]]
    along = (columns - pose.x) * np.cos(angle) + (rows - pose.y) * np.sin(angle)
    start = pose.radius * random.uniform(0.35, 0.8)
    band = (along > start) & (along < start + pose.radius * random.uniform(0.15, 0.5))
    np.copyto(scene, color, where=band)


def _light(width: int, height: int, random: np.random.Generator) -> Plane:
    """How much brighter or darker each pixel gets: a ramp in a random direction about a random level."""
    level, across, down = random.uniform(0.7, 1.15), *random.uniform(-0.3, 0.3, 2)
    rows, columns = np.linspace(-down, down, height), np.linspace(1 - across, 1 + across, width)
    return level * (columns.astype(np.float32)[None, :] + rows.astype(np.float32)[:, None])


def _camera(scene: Scene, random: np.random.Generator) -> Image.Image:
    """Adds grain, rounds to bytes, and blurs some photos."""
    grain = random.integers(0, 256, scene.shape[1:], np.uint8).astype(np.float32) - 127.5
    scene += grain * random.uniform(0.01, 0.14)
    photo = _image(np.clip(scene, 0, 255, out=scene))
    blurred = random.random() < _BLURRED
    return photo.filter(ImageFilter.BoxBlur(random.uniform(0.5, 2.0))) if blurred else photo


def _image(planes: Scene) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 0)))
