"""The source of `inspect`, `prepare` and `fit`, and the options that choose how it is read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import write_notes
from alexnet.cli.progress import progress_bar

if TYPE_CHECKING:
    from alexnet.data.sources import SourceOptions


class _LabelNumbers(StrEnum):
    names = "names"
    from_0 = "from-0"
    from_1 = "from-1"


def source_options(
    class_level: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Depth of the class folders below the split folders; -1 for the innermost folders.",
        ),
    ] = 0,
    exclude: Annotated[
        str,
        typer.Option(
            metavar="FOLDER,...", help="Leave out folders with these names (or paths below the source)."
        ),
    ] = "",
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE,...",
            help="The file, or files, that label the photos: CSV, JSON, parquet, Arrow, MATLAB or text.",
        ),
    ] = "",
    image_column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Column of the photos in a label file, parquet or Arrow; without a header, its number.",
        ),
    ] = "",
    label_column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Column of the labels in a label file, parquet or Arrow; without a header, its number.",
        ),
    ] = "",
    group_column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Column of groups, such as persons, in a label file, parquet or Arrow; without a header, "
            "its number. Photos of one group stay together when some are held out.",
        ),
    ] = "",
    label_numbers: Annotated[
        _LabelNumbers | None,
        typer.Option(
            help="How to read numbers in a label file: as class names, or as class positions counted from "
            "0 or 1."
        ),
    ] = None,
    labels_from_names: Annotated[
        bool,
        typer.Option(
            "--labels-from-names",
            help="The class is the part of a photo's name before its number: cat of cat.0.jpg.",
        ),
    ] = False,
    skip_unlabeled: Annotated[
        bool, typer.Option("--skip-unlabeled", help="Leave out photos that the label file does not name.")
    ] = False,
    splits: Annotated[
        str,
        typer.Option(
            metavar="train=DIR,val=DIR,test=DIR",
            help="The folder of each split, or the file that lists its photos.",
        ),
    ] = "",
    configuration: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Which data set to use if the folder holds several (configurations of parquet files, "
            "EMNIST).",
        ),
    ] = "",
) -> SourceOptions:
    """The options as readers of sources take them; CommandError for splits that are written otherwise."""
    from alexnet.data.sources import SourceOptions, parse_splits  # `--help` does not need it

    return SourceOptions(
        class_level=class_level,
        exclude=exclude,
        labels=labels,
        image_column=image_column,
        label_column=label_column,
        group_column=group_column,
        label_numbers=None if label_numbers is None else label_numbers.value,
        labels_from_names=labels_from_names,
        skip_unlabeled=skip_unlabeled,
        splits=parse_splits(splits),
        configuration=configuration,
    )


def words_of(options: SourceOptions) -> list[str]:
    """The options as words of a command line; those that were not chosen are missing."""
    words: list[str] = []
    for name, value in options.chosen.items():
        word = f"--{name.replace('_', '-')}"
        if isinstance(value, dict):
            value = ",".join(f"{split}={place}" for split, place in value.items())
        words += [word] if value is True else [word, str(value)]
    return words


def with_source_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `source_options` in place of its parameter `options`."""
    added = inspect.signature(source_options, eval_str=True, locals={"SourceOptions": object}).parameters
    own = inspect.signature(command, eval_str=True, locals={"SourceOptions": object}).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        parameters += added.values() if name == "options" else [parameter]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in added}
        command(**given, options=source_options(**chosen))

    # What typer reads.
    vars(with_options)["__signature__"] = inspect.Signature(parameters)
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def located_source(source: str, silent: bool = False) -> Path:
    """The path of a source; files at an address are fetched first, with a progress bar."""
    from alexnet.data.remote import local_source
    from alexnet.stopping import Stopping

    with Stopping("what was fetched is kept, type the same command again to continue"):
        return local_source(source, partial(progress_bar, unit="bytes", silent=silent), write_notes)
