"""Compiles a C++ source of this package on first use, caches the library for the user and opens it.

The compiler is the one named by the environment variable CXX, else g++, else clang++.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from alexnet.cache import cache_folder

_NATIVE = "-mcpu=native" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "-march=native"
_FLAGS = ("-O3", _NATIVE, "-std=c++17", "-fPIC")
# Not -ffast-math: NaN must stay NaN, or training would not notice it.
_ARITHMETIC = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros")
_COMPILERS = ("g++", "clang++")
_COMPILE_SECONDS = 120


@functools.cache
def library(name: str) -> ctypes.CDLL | None:
    """The library of `name`.cpp next to this file; None, with one logged warning, if compiling fails."""
    try:
        return ctypes.CDLL(str(_built(Path(__file__).with_name(f"{name}.cpp"))))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        logging.getLogger(__name__).warning(
            "%s runs in plain torch, several times slower: %s", name, detail.strip().splitlines()[-1]
        )
        return None


def _compiler() -> tuple[str, ...]:
    """The command of the C++ compiler; FileNotFoundError if there is none."""
    chosen = shlex.split(os.environ.get("CXX", ""))
    for program, *options in [chosen] if chosen else [[name] for name in _COMPILERS]:
        if found := shutil.which(program):
            return found, *options
    names = f"CXX={chosen[0]}" if chosen else " or ".join(_COMPILERS)
    raise FileNotFoundError(f"no C++ compiler ({names}) on the PATH")


def _built(source: Path) -> Path:
    """The path of the library, compiled if it is not cached; OSError or SubprocessError if that fails."""
    compiler = _compiler()
    version = subprocess.run((*compiler, "--version"), capture_output=True, text=True, check=True).stdout
    # clang's code needs the OpenMP library of clang.
    runtime = None if "clang" in version else _openmp_runtime()
    sources = sorted(
        each.read_text("utf-8") for each in source.parent.glob("*.cpp")
    )  # one may include another
    identity = (*sources, *compiler, version, _processor(), runtime, *_FLAGS, *_ARITHMETIC)
    digest = hashlib.sha256("\n".join(map(str, identity)).encode()).hexdigest()[:16]
    target = cache_folder() / f"{source.stem}-{digest}.so"
    if not target.exists():
        try:
            _compile(compiler, source, target, ("-fopenmp",), (runtime or "-fopenmp",))
        except subprocess.CalledProcessError:  # as with clang where its OpenMP is not installed
            _compile(compiler, source, target, (), ())
            logging.getLogger(__name__).warning(
                "%s uses one thread: %s has no OpenMP", source.stem, compiler[0]
            )
    return target


def _compile(
    compiler: tuple[str, ...], source: Path, target: Path, openmp: tuple[str, ...], linking: tuple[str, ...]
) -> None:
    """Compiles to a temporary file and renames it to `target`, so that no other process opens an incomplete
    library.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        compiled, linked = Path(folder) / "layer.o", Path(folder) / "layer.so"
        for command in (
            (*compiler, *_FLAGS, *openmp, *_ARITHMETIC, "-c", source, "-o", compiled),
            (*compiler, "-shared", compiled, *linking, "-o", linked),
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
