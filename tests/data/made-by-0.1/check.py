"""Compares what a version of alexnet says of this folder with `expected.json`, number by number.

    OMP_NUM_THREADS=1 PYTHONPATH=CHECKOUT/src python check.py COPY_OF_THIS_FOLDER [--fresh] [--resume]

Work on a copy: commands write into the folder. `--fresh` first takes away all kept predictions and
features, so that every net has to answer again; `--resume` also ends the stopped runs and compares their
weights. Prints each difference, and how large the largest is; the exit code is 1 where there are any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import make
import numpy as np

import alexnet

apart: list[str] = []
largest = 0.0


def same(where: str, found, wanted) -> None:
    """Notes where two JSON values differ; more keys than there were are no difference."""
    global largest
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in wanted:
            same(f"{where}.{key}", found.get(key), wanted[key])
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
            same(f"{where}[{number}]", ours, theirs)
    elif found != wanted:
        values = [float.fromhex(v) if isinstance(v, str) and "0x" in v else v for v in (found, wanted)]
        if all(isinstance(v, float | int) for v in values):
            largest = max(largest, abs(values[0] - values[1]))
        apart.append(f"{where}: {found!r} instead of {wanted!r}"[:300])


def main() -> None:
    import json

    os.chdir(sys.argv[1])
    wanted = json.loads(Path("expected.json").read_text())
    if "--fresh" in sys.argv:
        for folder in [*Path().rglob("predictions"), *Path().rglob("features")]:
            if "stopped" not in folder.parts:  # there `features` are the state of a classic pipeline
                shutil.rmtree(folder)
    same("stores", make.stores_told(), wanted["stores"])
    for path, told in wanted["models"].items():
        same(path, make.model_told(path), told)
    for number, each in enumerate(wanted["commands"]):
        found = make.untimed(json.loads(make.printed(*each["command"])))
        same(f"commands[{number}] {' '.join(each['command'])}", found, each["json"])
    if "--resume" in sys.argv:
        for name in make.STOPPED:
            resumed(name)
        before = Path("workshop/lrn/claim.json").read_text()
        print(make.alexnet(*make.CLAIM).splitlines()[-6:])
        numbers = [
            [part["numbers"] for part in json.loads(text)["comparisons"]]
            for text in (before, Path("workshop/lrn/claim.json").read_text())
        ]
        same("workshop/lrn", numbers[1][:2], numbers[0][:2])
    print(alexnet.__file__, len(wanted["models"]), "models", len(wanted["commands"]), "commands")
    print("\n".join(apart) or "no differences")
    print("largest difference of a number:", largest)
    raise SystemExit(bool(apart))


def resumed(name: str) -> None:
    recipe, *rest = make.STOPPED[name]
    words = ("train", recipe, "--run", f"stopped/{name}", *rest, "--resume")
    subprocess.run((sys.executable, "-m", "alexnet", *words), check=True, stdout=subprocess.DEVNULL)
    make.keep_weights(f"stopped/{name}/checkpoints/last/weights.safetensors", "ended.npz")
    with np.load("ended.npz") as found, np.load(f"stopped/{name}-final.npz") as wanted:
        if {*found} != {*wanted}:
            apart.append(f"stopped/{name}: other tensors")
        for tensor in wanted:
            if not np.array_equal(found[tensor], wanted[tensor], equal_nan=True):
                apart.append(f"stopped/{name}: {tensor} differs")
    print("resumed", name, flush=True)


if __name__ == "__main__":
    main()
