"""`alexnet quickstart`: everything once on synthetic photos, in about two minutes on two cores."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.main import main
from alexnet.cli.output import write_lines
from alexnet.cli.report import PAGE
from alexnet.errors import CommandError

IMAGE_SIZE, EPOCHS, MODELS = 72, 10, 2
WIDTHS = "[32,96,192,128,128,1024,1024]"
"""Half the maps and a quarter of the units: enough for synthetic photos, in a quarter of the time."""
PHOTOS, LAST_FILE = "photos", "ILSVRC2012_devkit_t12.tar.gz"
"""Folder of the photos, and the file that `synthesize` writes last."""


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for all files.")] = Path(
        "quickstart"
    ),
) -> None:
    """Run everything once: make synthetic photos, prepare a store, train two small AlexNets, evaluate,
    report.

    Run the same command again to resume.
    """
    from alexnet.data.store import Store
    from alexnet.report.plots.output import save
    from alexnet.report.sections import evaluation
    from alexnet.report.sections.subjects import OpenModel

    if out.is_file() or (out.exists() and any(out.iterdir()) and not (out / PHOTOS).exists()):
        raise CommandError(f"{out} is not empty: choose another folder with --out DIR")
    for title, words in steps(out):
        if words[0] == "synthesize" and (out / PHOTOS / LAST_FILE).exists():
            continue
        write_lines("", f"# {title}", f"$ alexnet {shlex.join(words)}")
        code = main(words)
        if code:
            raise typer.Exit(code)
    runs = _runs(out)
    curves = save(evaluation.curves(list(map(Path, runs))).figure, out / "curves.png")
    predictions = evaluation.some_predictions(OpenModel(Path(runs[0]), Store.open(out / "store")))
    save(predictions.figure, out / "predictions.png")
    figures = f"{curves}, {out / 'predictions.png'}"
    write_lines("", f"Figures: {figures}", f"Report, for a browser: {out / PAGE}", *_next(out).splitlines())


def steps(out: Path) -> list[tuple[str, list[str]]]:
    """Title and command line of each step, in order; each command also works by itself."""
    photos, store, models = (str(out / name) for name in (PHOTOS, "store", "models"))
    small = [f"schedule.epochs={EPOCHS}", f"model.architecture.widths={WIDTHS}"]
    ensemble = [
        "ensemble",
        "alexnet-modern",
        "--nets",
        str(MODELS),
        "--store",
        store,
        "--out",
        models,
        *small,
    ]
    report = ["report", models, "--store", store, "--out", str(out)]
    return [
        ("Make 2,000 + 500 synthetic photos in the layout of ILSVRC-2012", ["synthesize", photos]),
        ("Inspect them, as you would inspect ImageNet", ["inspect", photos]),
        (
            "Decode and resize the photos and write the store",
            ["prepare", photos, store, "--side", str(IMAGE_SIZE)],
        ),
        ("Train two small AlexNets with different seeds", ensemble),
        (
            "Evaluate them as in the paper: ten crops, then the average of the models",
            ["evaluate", models, "--store", store],
        ),
        ("Compare the errors of the runs and of their average", ["compare", *_runs(out), models]),
        ("Write a report about everything", [*report, "--detailed", "1"]),
    ]


def _runs(out: Path) -> list[str]:
    return [str(out / "models" / f"seed-{seed}") for seed in range(MODELS)]


def _next(out: Path) -> str:
    script = Path(sys.executable).with_name("activate")
    hidden = shutil.which("alexnet") is None and script.exists()
    activate = (
        f"\nFirst, once per terminal, to put `alexnet` on the path:\n    . {script}\n" if hidden else ""
    )
    return f"""
Done: {out} has the photos, the store and two run directories. What you can type next:

  your own photos, one folder per class:
    alexnet fit my-photos --run runs/mine
    alexnet predict new-photo.jpg --model runs/mine

  ImageNet (the official tars, the Kaggle download, folders or parquet files):
    alexnet prepare ILSVRC stores/ilsvrc2012
    alexnet train alexnet-2012 --store stores/ilsvrc2012 --run runs/alexnet-2012

  with what was just made:
    alexnet synthesize more-photos --layout folder --seed 1
    alexnet predict more-photos/val --model {out}/models/seed-0
    alexnet serve {out}/models/seed-0 --store {out}/store
    pip install tensorboard && tensorboard --logdir {out}
{activate}"""
