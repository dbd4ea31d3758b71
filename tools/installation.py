"""Installs a wheel in a new environment and predicts with it: `python -m tools.installation WHEEL`.

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

_COMES_FROM_THE_WHEEL = """
import alexnet, pathlib, sys
assert pathlib.Path(alexnet.__file__).is_relative_to(sys.prefix), alexnet.__file__
"""


def try_wheel(wheel: Path, folder: Path) -> None:
    """Installs the wheel in a new environment in `folder`, and predicts the class of a photo made there.

    CalledProcessError if a step fails.
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
    _run(folder, commands / "python", "-c", _COMES_FROM_THE_WHEEL)
    _run(folder, commands / "alexnet", "--version")
    few = ("--layout", "folder", "--classes", "2", "--train-per-class", "2", "--val-per-class", "1")
    _run(folder, commands / "alexnet", "synthesize", "photos", *few)
    _run(folder, commands / "alexnet", "predict", "photos/val")


def _run(folder: Path, *command: str | Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=kept, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as created:
        try_wheel(Path(sys.argv[1]), Path(created))
