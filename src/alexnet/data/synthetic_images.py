"""Synthetic photos: a shape with a texture on cluttered backgrounds, under varying light, pose and quality.

Shapes and textures are functions of the object's own coordinates: the object lies in the disc of radius 1
around (0, 0). A shape returns how far inside a point is, in radii, accurate enough for a one-pixel edge, and
negative outside. A texture returns the fraction 0..1 of its second color.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Plane = NDArray[np.floating[Any]]
"""(height, width) float32, one value per pixel."""


def _disc(u: Plane, v: Plane) -> Plane:
    return 0.92 - np.hypot(u, v)


def _triangle(u: Plane, v: Plane) -> Plane:
    return 0.52 - np.maximum(v, np.abs(u) * 0.866 - v * 0.5)


def _cross(u: Plane, v: Plane) -> Plane:
    across, along = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(0.95 - across, 0.3 - along), np.minimum(0.3 - across, 0.95 - along))


def _ring(u: Plane, v: Plane) -> Plane:
    return 0.27 - np.abs(np.hypot(u, v) - 0.68)


def _star(u: Plane, v: Plane) -> Plane:
    """Five points: every angle is folded onto half a point, whose edge is a straight line."""
    wedge = 2 * math.pi / 5
    radius, angle = np.hypot(u, v), np.arctan2(u, -v)
    folded = np.abs((angle + wedge / 2) % wedge - wedge / 2)
    notch_x, notch_y = 0.45 * math.cos(wedge / 2), 0.45 * math.sin(wedge / 2)
    edge = math.hypot(1 - notch_x, notch_y)
    along, across = radius * np.cos(folded), radius * np.sin(folded)
    return ((1 - along) * notch_y - across * (1 - notch_x)) / edge


def _square(u: Plane, v: Plane) -> Plane:
    return 0.74 - np.maximum(np.abs(u), np.abs(v))


def _crescent(u: Plane, v: Plane) -> Plane:
    return np.minimum(0.95 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.7)


def _heart(u: Plane, v: Plane) -> Plane:
    """A square standing on its corner with a disc on each of its two upper sides."""
    corner = 0.62 - (np.abs(u) + np.abs(v - 0.12)) * 0.707 - 0.12
    discs = 0.5 - np.hypot(np.abs(u) - 0.36, v + 0.24)
    return np.maximum(corner, discs)


def _flower(u: Plane, v: Plane) -> Plane:
    return (0.65 + 0.3 * np.cos(6 * np.arctan2(v, u)) - np.hypot(u, v)) * 0.6


def _hourglass(u: Plane, v: Plane) -> Plane:
    return np.minimum(0.8 - np.abs(v), (np.abs(v) - np.abs(u)) * 0.707 + 0.12)


def _wave(phase: Plane, sharpness: float = 3.0) -> Plane:
    """A soft-edged square wave, 0..1, of a phase in periods."""
    return np.clip(0.5 + sharpness * np.sin(2 * math.pi * phase), 0, 1)


def _striped(u: Plane, v: Plane) -> Plane:
    return _wave(u * 2.1)


def _spotted(u: Plane, v: Plane) -> Plane:
    turn = 2 * math.pi * 2
    return np.clip(0.2 + 2 * (np.cos(turn * u) + np.cos(turn * v) - 0.6), 0, 1)


def _checkered(u: Plane, v: Plane) -> Plane:
    turn = 2 * math.pi * 1.1
    return np.clip(0.5 + 5 * np.sin(turn * u) * np.sin(turn * v), 0, 1)


def _rayed(u: Plane, v: Plane) -> Plane:
    return _wave(np.arctan2(v, u) * (7 / (2 * math.pi)))


def _ringed(u: Plane, v: Plane) -> Plane:
    return _wave(np.hypot(u, v) * 2.4)


def _zigzag(u: Plane, v: Plane) -> Plane:
    return _wave(u * 1.8 + np.abs((v * 1.5) % 1 - 0.5) * 1.6)


def _netted(u: Plane, v: Plane) -> Plane:
    turn = math.pi * 2.2
    lines = np.maximum(np.abs(np.cos(turn * (u + v) * 0.707)), np.abs(np.cos(turn * (u - v) * 0.707)))
    return np.clip((lines - 0.9) * 20, 0, 1)


def _bricked(u: Plane, v: Plane) -> Plane:
    row = v * 2.5
    column = u * 1.4 + 0.5 * (np.floor(row) % 2)
    joint = np.minimum(np.minimum(row % 1, -row % 1), np.minimum(column % 1, -column % 1) * 1.8)
    return np.clip((joint - 0.06) * 20, 0, 1)


def _mottled(u: Plane, v: Plane) -> Plane:
    """Blotches without a direction: seven plane waves without a common period."""
    total = np.zeros_like(u)
    for number in range(7):
        angle, turns = 2.4 * number, 1.3 + 0.23 * number
        along = math.cos(angle) * u + math.sin(angle) * v
        total += np.sin(2 * math.pi * turns * along + number)
    return np.clip(0.5 + total, 0, 1)


def _plain(u: Plane, v: Plane) -> Plane:
    return np.zeros_like(u)


SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": _disc,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "square": _square,
    "crescent": _crescent,
    "heart": _heart,
    "flower": _flower,
    "hourglass": _hourglass,
}
TEXTURES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "striped": _striped,
    "spotted": _spotted,
    "checkered": _checkered,
    "rayed": _rayed,
    "ringed": _ringed,
    "plain": _plain,
    "netted": _netted,
    "mottled": _mottled,
    "bricked": _bricked,
    "zigzag": _zigzag,
}
UNUSUAL_KINDS = {"CMYK": 2, "PNG": 2, "gray": 4, "EXIF-rotated": 4, "truncated": 1}
"""How many training photos of a synthetic data set are unusual, by kind. Truncated ones are unreadable."""
_ORIENTATION, _ROTATE_RIGHT = 0x0112, 6
"""The EXIF orientation tag, and its value for "rotate by 90 degrees clockwise"."""

_SIZES = ((500, 375), (500, 333), (375, 500), (333, 500), (500, 500), (400, 300), (640, 480))
_SIZE_SHARES = (0.5, 0.14, 0.14, 0.06, 0.05, 0.06, 0.05)
_SMALLEST_SHARE, _LARGEST_SHARE = 0.27, 0.46
"""Radius of the object, as a fraction of the photo's shorter side."""
_BLURRED, _OCCLUDED = 0.3, 0.25
"""Fractions of the photos."""

Color = NDArray[np.floating[Any]]
"""(3, 1, 1) float32: red, green and blue, 0..255."""
Planes = NDArray[np.floating[Any]]
"""(3, height, width) float32, 0..255: planes, on which numpy is three times faster than on pixels."""


@dataclass(frozen=True)
class _Pose:
    """Center and radius of the object in pixels, its rotation in radians, its stretch and perspective."""

    x: float
    y: float
    radius: float
    rotation: float
    stretch: float
    perspective: tuple[float, float]


def draw_photo(shape: str, texture: str, random: np.random.Generator) -> Image.Image:
    """An RGB photo of an object with this shape and texture; everything else is drawn from `random`.

    Sizes are those common in ILSVRC: mostly 500x375, some upright, varied by a few pixels.
    """
    width, height = _size(random)
    pose = _pose(width, height, random)
    photo = _background(width, height, random)
    _clutter(photo, width, height, random)
    scene = np.asarray(photo).transpose(2, 0, 1).astype(np.float32, order="C")
    _paint_object(scene, shape, texture, pose, random)
    if random.random() < _OCCLUDED:
        _occlude(scene, pose, random)
    scene *= _light(width, height, random)
    return _camera(scene, random)


def encode_photo(photo: Image.Image, quality: int, kind: str = "") -> bytes:
    """The photo as a JPEG file of this quality (1..95), or as an unusual file of a `kind` in `UNUSUAL_KINDS`.

    `EXIF-rotated` is stored on its side with an EXIF orientation; `truncated` lacks its second half.
    """
    exif = Image.Exif()
    if kind == "CMYK":
        photo = photo.convert("CMYK")
    elif kind == "gray":
        photo = photo.convert("L")
    elif kind == "EXIF-rotated":
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[_ORIENTATION] = _ROTATE_RIGHT
    file = io.BytesIO()
    photo.save(file, "PNG" if kind == "PNG" else "JPEG", quality=quality, exif=exif)
    data = file.getvalue()
    return data[: len(data) // 2] if kind == "truncated" else data


def _size(random: np.random.Generator) -> tuple[int, int]:
    width, height = _SIZES[random.choice(len(_SIZES), p=_SIZE_SHARES)]
    return width - int(random.integers(0, 12)), height - int(random.integers(0, 12))


def _pose(width: int, height: int, random: np.random.Generator) -> _Pose:
    """The object stays inside the central square, except for a small part."""
    short = min(width, height)
    radius = short * random.uniform(_SMALLEST_SHARE, _LARGEST_SHARE)
    freedom = max(0.52 * short - radius, 0.05 * short)
    x, y = random.uniform(-freedom, freedom, 2)
    rotation, stretch = random.uniform(-0.6, 0.6), random.uniform(0.85, 1.18)
    perspective = random.uniform(-0.22, 0.22), random.uniform(-0.22, 0.22)
    return _Pose(width / 2 + x, height / 2 + y, radius, rotation, stretch, perspective)


def _color(random: np.random.Generator, darkest: float, brightest: float) -> Color:
    """Any hue, pale to saturated, with the mean of its channels in the given range of 0..1."""
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
    """Two noise fields over three colors, computed at a third of the size; `_camera` adds fine grain."""
    rows, columns = height // 3, width // 3
    colors = [_color(random, 0.1, 0.9) for _ in range(3)]
    first, second = (_fractal(rows, columns, random) for _ in range(2))
    mixed = colors[0] + (colors[1] - colors[0]) * first
    mixed += (colors[2] - mixed) * second * random.uniform(0.2, 1)
    return _image(mixed).resize((width, height), Image.Resampling.BICUBIC)


def _clutter(photo: Image.Image, width: int, height: int, random: np.random.Generator) -> None:
    """Draws a few bars and ragged patches of one color, none with the shape and texture of a class."""
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


def _paint_object(scene: Planes, shape: str, texture: str, pose: _Pose, random: np.random.Generator) -> None:
    """Paints the object over the scene, with a shadow and shading."""
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
    """A dark and a bright color in random order, so that the mean color does not reveal the texture."""
    dark, bright = _color(random, 0.02, 0.35), _color(random, 0.65, 1.0)
    return (dark, bright) if random.random() < 0.5 else (bright, dark)


def _own_coordinates(columns: NDArray[np.int64], rows: NDArray[np.int64], pose: _Pose) -> tuple[Plane, Plane]:
    """A grid of pixels in the object's coordinates: rotated, stretched, in mild perspective."""
    x = ((columns - pose.x) / pose.radius).astype(np.float32)[None, :]
    y = ((rows - pose.y) / pose.radius).astype(np.float32)[:, None]
    depth = 1 + pose.perspective[0] * x + pose.perspective[1] * y
    cosine, sine = math.cos(pose.rotation), math.sin(pose.rotation)
    u = (cosine * x + sine * y) * pose.stretch / depth
    v = (cosine * y - sine * x) / pose.stretch / depth
    return u, v


def _occlude(scene: Planes, pose: _Pose, random: np.random.Generator) -> None:
    """Covers a rim of the object, up to a third of it, with a band of one color."""
    angle, color = random.uniform(0, 2 * np.pi), _color(random, 0.05, 0.95)
    rows, columns = np.ogrid[: scene.shape[1], : scene.shape[2]]
    along = (columns - pose.x) * np.cos(angle) + (rows - pose.y) * np.sin(angle)
    start = pose.radius * random.uniform(0.35, 0.8)
    band = (along > start) & (along < start + pose.radius * random.uniform(0.15, 0.5))
    np.copyto(scene, color, where=band)


def _light(width: int, height: int, random: np.random.Generator) -> Plane:
    """Brightness factor of each pixel: a ramp in a random direction about a random level."""
    level, across, down = random.uniform(0.7, 1.15), *random.uniform(-0.3, 0.3, 2)
    rows, columns = np.linspace(-down, down, height), np.linspace(1 - across, 1 + across, width)
    return level * (columns.astype(np.float32)[None, :] + rows.astype(np.float32)[:, None])


def _camera(scene: Planes, random: np.random.Generator) -> Image.Image:
    """Adds grain, rounds to bytes, and blurs some photos."""
    grain = random.integers(0, 256, scene.shape[1:], np.uint8).astype(np.float32) - 127.5
    scene += grain * random.uniform(0.01, 0.14)
    photo = _image(np.clip(scene, 0, 255, out=scene))
    blurred = random.random() < _BLURRED
    return photo.filter(ImageFilter.BoxBlur(random.uniform(0.5, 2.0))) if blurred else photo


def _image(planes: Planes) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 0)))
