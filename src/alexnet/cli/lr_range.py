"""`alexnet lr-range RECIPE --store STORE --out FILE.png`: a learning-rate range test with its plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import ConfigOption, SettingsArgument, recipe_names, settings_of_file
from alexnet.cli.output import write_lines
from alexnet.cli.progress import progress_bar


def command(
    store: Annotated[Path, typer.Option(help="The store made by `alexnet prepare`.")],
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A network of `alexnet recipes`.", autocompletion=recipe_names),
    ] = "",
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The figure to write.")] = Path(
        "lr-range.png"
    ),
    settings: SettingsArgument = None,
    config: ConfigOption = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="RUN|FILE", help="Initialize from the weights of this model.")
    ] = None,
    updates: Annotated[int, typer.Option(min=10, help="Number of updates.")] = 100,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
) -> None:
    """Find a learning rate: train for 100 updates at a rate that rises from 1e-6 to 10, and plot the loss.

    It stops when the loss diverges. The suggested rate is a tenth of that with the lowest loss. No run
    directory is made. Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section
    3.3.
    """
    from alexnet import recipes
    from alexnet.data.store import Store
    from alexnet.hardware import choose_device, describe_device
    from alexnet.io import refuse_unwritable
    from alexnet.report.plots.lr_range import draw_lr_range
    from alexnet.report.plots.output import refuse_other_suffix, save
    from alexnet.runs.run_dir import find_weights
    from alexnet.training.lr_range import range_test
    from alexnet.training.run import network_config
    from alexnet.training.transfer import InitFrom

    refuse_other_suffix(out)
    refuse_unwritable(out)
    recipe, changes = settings_of_file(recipe, settings, config)
    recipes.function(recipe)  # its name is wrong more often than the store's
    opened, chosen = Store.open(store), choose_device(device)
    settled = network_config(recipe, opened, changes, write_lines)
    source = None if init_from is None else InitFrom(find_weights(init_from))
    write_lines(
        f"{recipe} on {describe_device(chosen)}: {updates} updates of {settled.training.batch_size} images"
    )
    with progress_bar("range test", updates, unit="updates") as advance:
        found = range_test(settled, opened, chosen, source, updates, advance)
    title = f"{recipe}: learning-rate range test on {opened.path.name}"
    save(draw_lr_range(found.rates, found.losses, found.smoothed, found.suggestion, title), out)
    end = "where it diverged" if found.diverged else "where it did not diverge"
    write_lines(
        f"{out}: loss at rates from {found.rates[0]:.1g} to {found.rates[-1]:.2g}, {end}",
        f"suggested: optimizer.lr={found.suggestion:.2g} (the recipe has {settled.optimizer.lr:g})",
    )
