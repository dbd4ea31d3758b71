"""`alexnet evaluate RUN... --store STORE`: errors of runs, and of all of them averaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import torch


def command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Several are tested as an ensemble too.")
    ],
    store: Annotated[Path, typer.Option(help="Where the images are.")],
    split: Annotated[str, typer.Option(help="Which of the store's splits.")] = "val",
    views: Annotated[str, typer.Option(metavar="centre|ten", help="What the net sees of an image.")] = "ten",
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the result there too.")] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best", help="Best on the validation images flatters a little.")
    ] = "last",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Squares (images x views) at once.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, errors in [0, 1].")] = False,
) -> None:
    """Test runs: top-1 and top-5 errors with 95 % intervals, by class, and what is confused.

    Probabilities are averaged over the views, and over the runs where there are several; they are kept in
    RUN/predictions and used again while they are fresh. Each run's errors go into RUN/evaluation.json.
    """
    from alexnet import distributed
    from alexnet.cli.device import choose_device

    chosen = choose_device(device)
    with distributed.running(chosen):
        result = evaluate(runs, store, split, views, checkpoint, chosen, batch, silent=as_json)
        if not distributed.is_main():
            return
    if out is not None:
        from alexnet.files import write_json

        write_json(out, result)
    typer.echo(json.dumps(result, indent=2) if as_json else _report(result), nl=as_json)


def evaluate(
    runs: list[Path],
    store: Path,
    split: str,
    views: str,
    checkpoint: str,
    device: torch.device,
    batch: int,
    silent: bool,
) -> dict[str, Any]:
    """The entry of one run, or of the mean of several beside its `members`; each goes into its folder too."""
    from alexnet import distributed
    from alexnet.cli.device import describe_device
    from alexnet.cli.progress import progress_bar
    from alexnet.data.store import Store
    from alexnet.evaluation import ensemble, metrics, tested
    from alexnet.runs.folder import RunFolder

    opened, folders = Store.open(store), [RunFolder.open(run) for run in runs]
    images = len(opened.split(split)) // distributed.world_size()
    silent = silent or not distributed.is_main()
    members: list[Any] = []
    entries: list[dict[str, Any]] = []
    for folder in folders:
        title = f"testing {folder.path.name} on {describe_device(device)}"
        with progress_bar(title, images, unit="images", silent=silent) as advance:
            options = checkpoint, device, batch, advance
            members.append(tested.predictions_of(folder, opened, split, views, *options))
        entries.append(tested.entry(metrics.evaluate(members[-1]), opened, [folder], checkpoint))
        if distributed.is_main():
            tested.record(folder, entries[-1])
    if len(folders) == 1:
        return entries[0]
    mean = metrics.evaluate(ensemble.mean(members))
    return {**tested.entry(mean, opened, folders, checkpoint), "members": entries}


def _report(result: dict[str, Any]) -> str:
    from alexnet.report.evaluation import classes_table, confusions_table, errors_table

    tables = [errors_table([*result.get("members", []), result]), classes_table(result)]
    if result["confusions"]:
        tables.append(confusions_table(result))
    return "\n".join(table.text() for table in tables)
