"""`alexnet train RECIPE --store STORE --run RUN`: trains a recipe on a store and writes a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import alexnet
from alexnet.cli.options import ConfigOption, recipe_names, setting_keys, settings_of_file
from alexnet.cli.output import next_command, write_lines
from alexnet.cli.progress import progress_bar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from alexnet.progress import Advance


def command(
    store: Annotated[Path, typer.Option(help="The store made by `alexnet prepare`.")],
    run: Annotated[Path, typer.Option(help="The run directory to create.")],
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="One of `alexnet recipes`.", autocompletion=recipe_names),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...",
            help="Settings to change, such as epochs=30; `alexnet config RECIPE` prints all.",
            autocompletion=setting_keys,
        ),
    ] = None,
    config: ConfigOption = None,
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="RUN|FILE|hf:OWNER/NAME", help="Initialize from the weights of this model."),
    ] = None,
    init_layers: Annotated[
        str, typer.Option(metavar="LAYER,...", help="Copy only these layers from it, such as conv1,conv2.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run if it exists.")] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Save and exit with code 75 after this many minutes. To make the schedule end then, use the "
            "setting minutes=N.",
        ),
    ] = None,
    weights_only: Annotated[
        bool,
        typer.Option(
            "--weights-only",
            help="Keep only the weights of the finished run: smaller, but it cannot be trained further.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
) -> None:
    """Train a recipe on a store. Ctrl-C and SIGTERM save and exit with code 75; --resume continues.

    On several GPUs: torchrun --nproc-per-node 4 -m -- alexnet train RECIPE ... (all processes must be able to
    read STORE and write RUN).

    With one tower on each of two GPUs: model.tower_devices=cuda:0,cuda:1; with torchrun, each process uses
    two GPUs.
    """
    from alexnet import distributed

    recipe, changes = settings_of_file(recipe, settings, config)
    alexnet.train(
        recipe,
        store,
        run,
        *changes,
        init_from=init_from,
        init_layers=tuple(filter(None, init_layers.split(","))),
        resume=resume,
        minutes=minutes,
        weights_only=weights_only,
        device=device,
        progress=training_bar,
        log=write_lines,
    )
    if distributed.launched_as_main():
        write_lines(next_command("evaluate", run, "--store", store))


def training_bar(total: int, done: int) -> AbstractContextManager[Advance]:
    """A progress bar that counts images."""

    return progress_bar("training", total, done=done, unit="images")
