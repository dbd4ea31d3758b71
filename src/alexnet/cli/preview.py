"""`alexnet preview RECIPE --store STORE --out FILE.png`: training photos as a recipe augments them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import ConfigOption, SettingsArgument, recipe_names, settings_of_file
from alexnet.cli.output import write_lines


def command(
    store: Annotated[Path, typer.Option(help="The store made by `alexnet prepare`.")],
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A network of `alexnet recipes`.", autocompletion=recipe_names),
    ] = "",
    out: Annotated[Path, typer.Option(metavar="FILE.png", help="The figure to write.")] = Path("preview.png"),
    settings: SettingsArgument = None,
    config: ConfigOption = None,
    photos: Annotated[int, typer.Option(min=1, help="Number of photos, of different classes.")] = 6,
    epochs: Annotated[int, typer.Option(min=1, help="Number of augmentations of each photo.")] = 6,
) -> None:
    """Draw some training photos as they are stored, as they are augmented, and their test crops.

    They are what a run with this recipe, store and settings receives in its first epochs.
    """
    from alexnet import recipes
    from alexnet.data.store import Store
    from alexnet.io import refuse_unwritable
    from alexnet.report.plots.output import refuse_other_suffix, save
    from alexnet.report.plots.preview import draw_preview
    from alexnet.training.preview import preview
    from alexnet.training.run import network_config

    refuse_other_suffix(out)
    refuse_unwritable(out)
    recipe, changes = settings_of_file(recipe, settings, config)
    recipes.function(recipe)  # its name is wrong more often than the store's
    opened = Store.open(store)
    settled = network_config(recipe, opened, changes, write_lines)
    found = preview(settled, opened, photos, epochs)
    figure = draw_preview(
        [each.name for each in found],
        [each.stored for each in found],
        [each.augmented for each in found],
        [each.tested for each in found],
        f"{recipe} on {opened.path.name}: {settled.data.input_size} of {settled.data.image_size} pixels",
    )
    write_lines(f"{save(figure, out)}: {len(found)} photos in {epochs} epochs")
