"""The constants of one response normalizer, as its implementations share them."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Window:
    """b = a * (k + alpha * sum of squares over the window) ** -beta."""

    size: int
    """Maps, from `size // 2` before; or pixels on a side, centerd."""
    alpha: float
    """Of each square: already divided by the window's size where the convention says so."""
    beta: float
    k: float
    groups: int = 1
    """Towers: equal blocks of maps that no window leaves."""
    within_map: bool = False
    """The window is a square of one map's pixels instead of a run of maps at one pixel."""

    @property
    def before(self) -> int:
        """Maps of the window before its own; an even window has one more of them than after."""
        return self.size // 2

    @property
    def after(self) -> int:
        """Maps of the window after its own."""
        return self.size - 1 - self.size // 2


_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp")
# Not -ffast-math: a NaN has to stay one, or training would not notice it.
_ARITHMETIC = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros")
_COMPILE_SECONDS = 120


@functools.cache
def library(name: str) -> ctypes.CDLL | None:
    """The library of `name`.cpp beside this file, or None (and one logged note) where it cannot be had."""
    try:
        return ctypes.CDLL(str(_built(Path(__file__).with_name(f"{name}.cpp"))))
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:  # the last: nobody's home folder
        detail = getattr(error, "stderr", None) or str(error)
        logging.getLogger(__name__).warning(
            "%s runs on torch alone, several times slower: %s", name, detail.strip().splitlines()[-1]
        )
        return None


def cache_folder() -> Path:
    """Where compiled layers are kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "alexnet"


def _built(source: Path) -> Path:
    """The library of `source`, from the cache or compiled now. OSError or SubprocessError where it fails."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (g++) on the PATH")
    version = subprocess.run((compiler, "--version"), capture_output=True, text=True, check=True).stdout
    runtime = _openmp_runtime()
    sources = sorted(each.read_text() for each in source.parent.glob("*.cpp"))  # one may include another
    identity = (*sources, version, _processor(), runtime, *_FLAGS, *_ARITHMETIC)
    digest = hashlib.sha256("\n".join(map(str, identity)).encode()).hexdigest()[:16]
    target = cache_folder() / f"{source.stem}-{digest}.so"
    if not target.exists():
        _compile(compiler, source, target, runtime)
    return target


def _compile(compiler: str, source: Path, target: Path, runtime: str | None) -> None:
    """Compiles beside `target` and renames, so that no other process ever opens half a library."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        compiled, linked = Path(folder) / "layer.o", Path(folder) / "layer.so"
        linking = (runtime,) if runtime else ("-fopenmp",)
        for command in (
            (compiler, *_FLAGS, *_ARITHMETIC, "-c", source, "-o", compiled),
            (compiler, "-shared", compiled, *linking, "-o", linked),
        ):
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=_COMPILE_SECONDS)
        linked.replace(target)


def _openmp_runtime() -> str | None:
    """The OpenMP library torch has opened: with another, two pools of threads would fight for the cores."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    found = re.search(r"\s(/\S*libgomp\S*)$", mapped, re.MULTILINE)
    return found.group(1) if found else None


def _processor() -> str:
    """What `-march=native` depends on: a cache folder may be shared by machines."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return "".join(re.findall(r"^(?:model name|flags)\s*:.*$", described, re.MULTILINE)[:2])


_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Pool:
    """Max pooling: window and stride in pixels; sizes round up or down."""

    size: int
    stride: int
    rounds_up: bool

    def side(self, side: int) -> int:
        """Pixels across the pooled map of a map `side` pixels across."""
        steps = (side - self.size + (self.stride - 1 if self.rounds_up else 0)) // self.stride
        return steps if steps * self.stride >= side else steps + 1  # no window starts outside


@dataclass(frozen=True)
class Plan:
    """Steps in the order they are taken; each may be left out."""

    rectify_first: bool = False
    across: Window | None = None
    within: Window | None = None
    pool: Pool | None = None
    rectify_last: bool = False
    """Only after pooling."""


class _Plan(ctypes.Structure):
    """`Plan` of stage.cpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels")),
        *((name, ctypes.c_int64) for name in ("pooled_height", "pooled_width", "pool_size", "pool_stride")),
        *((name, ctypes.c_int64) for name in ("groups", "across_size", "within_size")),
        *((name, ctypes.c_int64) for name in ("rectify_first", "rectify_last", "threads")),
        *((name, ctypes.c_double) for name in ("across_alpha", "across_k", "within_alpha", "within_k")),
    )


def supports(maps: torch.Tensor, plan: Plan) -> bool:
    """Whether the kernel can compute `plan` for `maps`."""
    known = all(window.beta == 0.75 and window.k > 0 for window in (plan.across, plan.within) if window)
    known = known and (plan.pool is None or plan.pool.size < 16)  # a chosen pixel is one byte
    return maps.device.type == "cpu" and maps.dtype in _NAMES and known and library("stage") is not None


def forward(
    maps: torch.Tensor, plan: Plan, choices: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(result, which pixel each pooling window chose): (N, C, H', W') channels-last, of float32 or bfloat16.

    The choice is uint8, and None unless `choices` is set and `plan` pools; `backward` needs it then.
    """
    maps = maps.contiguous(memory_format=torch.channels_last)
    images, channels, height, width = maps.shape
    if plan.pool:
        height, width = plan.pool.side(height), plan.pool.side(width)
    shape = (images, channels, height, width)
    result = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    chosen = torch.empty_like(result, dtype=torch.uint8) if choices and plan.pool else None
    _call("forward", maps, plan, maps, result, chosen)
    return result, chosen


def backward(
    maps: torch.Tensor, gradient: torch.Tensor, plan: Plan, chosen: torch.Tensor | None
) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the result."""
    maps = maps.contiguous(memory_format=torch.channels_last)
    gradient = gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(maps)
    _call("backward", maps, plan, maps, gradient, chosen, result)
    return result


def _call(direction: str, maps: torch.Tensor, plan: Plan, *tensors: torch.Tensor | None) -> None:
    kernel = getattr(library("stage"), f"{direction}_{_NAMES[maps.dtype]}")
    sized = _sized(plan, *maps.shape)
    kernel(
        ctypes.byref(sized),
        *(ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None) for tensor in tensors),
    )


def _sized(plan: Plan, images: int, channels: int, height: int, width: int) -> _Plan:
    """`plan` for maps of one size. Where no step needs whole images, rows of pixels stand in for images."""
    if not (plan.pool or plan.within):
        images, height = images * height, 1
    across, within, pool = plan.across, plan.within, plan.pool
    return _Plan(
        images=images,
        height=height,
        width=width,
        channels=channels,
        pooled_height=pool.side(height) if pool else 0,
        pooled_width=pool.side(width) if pool else 0,
        pool_size=pool.size if pool else 0,
        pool_stride=pool.stride if pool else 0,
        groups=across.groups if across else 1,
        across_size=across.size if across else 0,
        within_size=within.size if within else 0,
        rectify_first=plan.rectify_first,
        rectify_last=plan.rectify_last,
        threads=torch.get_num_threads(),
        across_alpha=across.alpha if across else 0,
        across_k=across.k if across else 0,
        within_alpha=within.alpha if within else 0,
        within_k=within.k if within else 0,
    )
