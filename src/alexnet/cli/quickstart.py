"""`alexnet quickstart`: the whole chain on made-up photos, in about two minutes on two cores."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

SIDE, CROP, EPOCHS, NETS = 72, 64, 10, 2
NARROW = "modern widths=[32,96,192,128,128,1024,1024]"
"""Half as many maps, a quarter of the units: enough for made-up photos, in a quarter of the time."""
PHOTOS, LAST_MADE = "photos", "ILSVRC2012_devkit_t12.tar.gz"


def command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for everything it makes.")] = Path(
        "quickstart"
    ),
) -> None:
    """Made-up photos in ImageNet's layout to a store, two small AlexNets, ten crops, a table and a report.

    The same command goes on where it was stopped.
    """
    from alexnet.cli.main import main
    from alexnet.cli.report import PAGE
    from alexnet.data.store import Store
    from alexnet.errors import CommandError
    from alexnet.report.plots.output import save
    from alexnet.report.sections import evaluation
    from alexnet.report.sections.subjects import OpenModel

    if out.is_file() or (out.exists() and any(out.iterdir()) and not (out / PHOTOS).exists()):
        raise CommandError(f"{out} holds something else: choose another with --out DIR")
    for title, words in steps(out):
        if words[0] == "synthesize" and (out / PHOTOS / LAST_MADE).exists():
            continue
        sys.stdout.write(f"\n# {title}\n$ alexnet {shlex.join(words)}\n")
        sys.stdout.flush()
        code = main(words)
        if code:
            raise typer.Exit(code)
    runs = _runs(out)
    curves = save(evaluation.curves(list(map(Path, runs))).figure, out / "curves.png")
    predictions = evaluation.some_predictions(OpenModel(Path(runs[0]), Store.open(out / "store")))
    save(predictions.figure, out / "predictions.png")
    pictures = f"{curves}, {out / 'predictions.png'}"
    sys.stdout.write(f"\nPictures: {pictures}\nReport, for a browser: {out / PAGE}\n{_next(out)}")


def steps(out: Path) -> list[tuple[str, list[str]]]:
    """What it does and the command line of each step, in order; a person could type them."""
    photos, store, nets = (str(out / name) for name in (PHOTOS, "store", "nets"))
    small = f"data.image_size={SIDE} data.input_size={CROP} schedule.epochs={EPOCHS}".split()
    small.append(f"model.variant={NARROW}")
    two = ["ensemble", "alexnet-modern", "--nets", str(NETS), "--store", store, "--out", nets, *small]
    return [
        ("Make up 2,000 + 500 photos in the layout of ILSVRC-2012", ["synthesize", photos]),
        ("Look at what is there, as one would with ImageNet", ["inspect", photos]),
        ("Decode, resize, store", ["prepare", photos, store, "--side", str(SIDE)]),
        ("Train two AlexNets at a small size that differ in their seed", two),
        ("Test as the paper did: ten crops, then the two averaged", ["evaluate", nets, "--store", store]),
        ("The errors beside the published ones", ["compare", *_runs(out), nets]),
        ("All of it on one page", ["report", nets, "--store", store, "--out", str(out), "--detailed", "1"]),
    ]


def _runs(out: Path) -> list[str]:
    return [str(out / "nets" / f"seed-{seed}") for seed in range(NETS)]


def _next(out: Path) -> str:
    here = Path(sys.executable).with_name("activate")
    hidden = shutil.which("alexnet") is None and here.exists()
    activate = (
        f"\nFirst, once in each terminal, so that it finds `alexnet`:\n    . {here}\n" if hidden else ""
    )
    return f"""
Done: {out} holds the photos, the store and two run folders. What to type next:

  your own photos, a folder of photos per class:
    alexnet prepare my-photos stores/mine --side 128 --val-fraction 0.2
    alexnet train alexnet-modern --store stores/mine --run runs/mine \\
      data.image_size=128 data.input_size=112 schedule.epochs=30
    alexnet predict new-photo.jpg --model runs/mine

  ImageNet (the official tars, the Kaggle download, folders or parquet files):
    alexnet prepare ILSVRC stores/ilsvrc2012
    alexnet train alexnet-2012 --store stores/ilsvrc2012 --run runs/alexnet-2012

  a closer look at what was just made:
    alexnet synthesize more-photos --layout folder --seed 1
    alexnet predict more-photos/val --model {out}/nets/seed-0
    alexnet serve {out}/nets/seed-0 --store {out}/store
    pip install tensorboard && tensorboard --logdir {out}
{activate}"""
