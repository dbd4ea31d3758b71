"""Compiles a C++ source of this package on first use, caches the library for the user and opens it."""

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
from pathlib import Path

_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp")
# Not -ffast-math: NaN must stay NaN, or training would not notice it.
_ARITHMETIC = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros")
_COMPILE_SECONDS = 120


@functools.cache
def library(name: str) -> ctypes.CDLL | None:
    """The library of `name`.cpp next to this file; None, with one logged warning, if compiling fails."""
    try:
        return ctypes.CDLL(str(_built(Path(__file__).with_name(f"{name}.cpp"))))
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:  # RuntimeError: no home folder
        detail = getattr(error, "stderr", None) or str(error)
        logging.getLogger(__name__).warning(
            "%s runs in plain torch, several times slower: %s", name, detail.strip().splitlines()[-1]
        )
        return None


def cache_folder() -> Path:
    """The folder with compiled libraries."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "alexnet"


def _built(source: Path) -> Path:
    """The path of the library, compiled if it is not cached; OSError or SubprocessError if that fails."""
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
    """Compiles to a temporary file and renames it to `target`, so that no other process opens an incomplete
    library.
    """
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
    """The OpenMP library that torch uses: with another one, two thread pools would compete for the cores."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    found = re.search(r"\s(/\S*libgomp\S*)$", mapped, re.MULTILINE)
    return found.group(1) if found else None


def _processor() -> str:
    """What `-march=native` depends on: machines may share a cache folder."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return "".join(re.findall(r"^(?:model name|flags)\s*:.*$", described, re.MULTILINE)[:2])
