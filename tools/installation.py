"""Installs a wheel in a new environment and tries it: `python -m tools.installation WHEEL`.

The environment has the packages that the wheel requires, what these require, and no other. They are links to
those of this environment, so nothing is downloaded; pip compares their versions with those that are required.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

_CHECKS = r"""
import alexnet, alexnet.web.server, importlib.metadata, importlib.util, pathlib, re, sys
assert pathlib.Path(alexnet.__file__).is_relative_to(sys.prefix), alexnet.__file__
assert importlib.util.find_spec("pytest") is None, "the packages for development are visible"
description = importlib.metadata.metadata("alexnet").get_payload()
assert description.startswith("# alexnet"), description[:80]
links = re.findall(r"\]\((?!https?://).*?\)", description)
assert not links, f"links that lead nowhere on a package index: {links}"
"""
_COMMANDS = (
    "--version",
    "synthesize photos --layout folder --classes 2 --train-per-class 4 --val-per-class 2",
    "predict photos/val",
    "prepare photos store --side 40 --workers 1",
    "train alexnet-small --store store --run run --device cpu epochs=1 batch_size=4 "
    "model.architecture.widths=[8,8,8,8,8,8,8]",
    "evaluate run --store store --device cpu",
    "report run --out report --device cpu --detailed 0",
)


def try_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel in a new environment in `folder`.

    A few photos that are made there are predicted, then prepared, and a tiny network is trained on them,
    evaluated and shown in a report. CalledProcessError if a step fails, PackageNotFoundError if a required
    package is not in this environment.
    """
    environment, dependencies = folder / "environment", folder / "dependencies"
    venv.create(environment)
    paths = sysconfig.get_paths("venv", {"base": str(environment), "platbase": str(environment)})
    packages, commands = Path(paths["purelib"]), Path(paths["scripts"])
    pip = (sys.executable, "-m", "pip", "--python", commands / "python")
    _run(folder, *pip, "install", "--quiet", "--no-deps", "--ignore-installed", wheel.absolute())
    (installed,) = packages.glob("alexnet-*.dist-info")
    for each in required_by(PathDistribution(installed)):
        link(each, dependencies)
    (packages / "dependencies.pth").write_text(str(dependencies), "utf-8")
    _run(folder, *pip, "check")
    _run(folder, commands / "python", "-c", _CHECKS)
    for words in _COMMANDS:
        _run(folder, commands / "alexnet", *words.split())


def required_by(package: Distribution) -> list[Distribution]:
    """The packages of this environment that `package` requires without extras, and those that they require.

    PackageNotFoundError if one is missing.
    """
    found: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = list(_requirements(package, ""))
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in done:
            done.add((name, extra))
            found[name] = distribution(name)
            waiting += _requirements(found[name], extra)
    return list(found.values())


def _requirements(package: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Names of packages that are required here with an extra ("" for none), each with the extras wanted of
    it and with none.
    """
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield from ((requirement.name, each) for each in ("", *requirement.extras))


def link(package: Distribution, folder: Path) -> None:
    """Links to the modules, packages and metadata of an installed package, in `folder`.

    Of a directory that several may share (a namespace package), its contents are linked.
    """
    for file in package.files or ():
        if ".." in file.parts:  # a command
            continue
        for depth in range(1, len(file.parts) + 1):
            name = Path(*file.parts[:depth])
            place = Path(str(package.locate_file(name)))
            is_shared = (
                place.is_dir() and place.suffix != ".dist-info" and not (place / "__init__.py").exists()
            )
            if not is_shared:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_symlink() and place.exists():
                    target.symlink_to(place)
                break


def _run(folder: Path, *command: str | Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=kept, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as created:
        try_wheel(Path(sys.argv[1]), Path(created))
