"""Installs a wheel in a new environment and tries it: `python -m tools.installation WHEEL`.

The dependencies are those of this environment, so that nothing is downloaded; pip compares their versions
with those that the wheel requires.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

_CHECKS = r"""
import alexnet, importlib.metadata, pathlib, re, sys
assert pathlib.Path(alexnet.__file__).is_relative_to(sys.prefix), alexnet.__file__
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
)


def try_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel in a new environment in `folder`.

    A few photos that are made there are predicted, then prepared, and a tiny network is trained on them and
    evaluated. CalledProcessError if a step fails.
    """
    environment = folder / "environment"
    venv.create(environment)
    paths = sysconfig.get_paths("venv", {"base": str(environment), "platbase": str(environment)})
    # The folder's own path files are not read, so an editable installation of this package stays outside.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    commands = Path(paths["scripts"])
    pip = (sys.executable, "-m", "pip", "--python", commands / "python")
    _run(folder, *pip, "install", "--quiet", "--no-deps", "--ignore-installed", wheel.absolute())
    _run(folder, *pip, "check")
    _run(folder, commands / "python", "-c", _CHECKS)
    for words in _COMMANDS:
        _run(folder, commands / "alexnet", *words.split())


def _run(folder: Path, *command: str | Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=kept, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as created:
        try_wheel(Path(sys.argv[1]), Path(created))
