"""`alexnet ensemble NAME --store STORE --out DIR`: trains the models of a row of the paper's table 2."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.options import ConfigOption, recipe_and_ensemble_names, setting_keys, settings_of_file
from alexnet.cli.output import next_command, write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.errors import CommandError
from alexnet.hardware import choose_device
from alexnet.runs.run_dir import EnsembleDir

if TYPE_CHECKING:
    import torch

    from alexnet.experiments.spec import RunSpec
    from alexnet.runs.run_dir import EnsembleMember


def command(
    store: Annotated[Path, typer.Option(help="The store with training and validation images.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder for the run directories.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="1-cnn, 5-cnns, 1-cnn-star, 7-cnns-star, or a recipe.",
            autocompletion=recipe_and_ensemble_names,
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...",
            help="Settings of all models; RECIPE:key=value for models of one recipe.",
            autocompletion=setting_keys,
        ),
    ] = None,
    config: ConfigOption = None,
    pretrain_store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="A store with other, more classes, for pre-training.")
    ] = None,
    nets: Annotated[
        int | None, typer.Option(min=1, help="How many models, if NAME is a recipe. [default: 5]")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Save and exit with code 75 after this many minutes.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    only: Annotated[
        str | None,
        typer.Option(metavar="MEMBER", help="Train only this model, and the one it is initialized from."),
    ] = None,
    print_commands: Annotated[
        bool, typer.Option("--print-commands", help="Print one command per untrained model and exit.")
    ] = False,
) -> None:
    """Train several models that differ only in their seed, or all models of a row of the paper's table 2.

    Run the same command again to resume. If it runs in several terminals, they share the models. `alexnet
    evaluate DIR` then averages the models' probabilities.
    """
    from alexnet import distributed
    from alexnet.experiments import ensembles
    from alexnet.experiments.runner import Runner

    typed_settings = [*([name] if "=" in name else []), *(settings or [])]
    if name in ensembles.ENSEMBLES and config is not None:  # for the members of the file's recipe
        of_recipe, changes = settings_of_file("", [], config, own_seeds=True)
        changes = [*(f"{of_recipe}:{each}" for each in changes), *(settings or [])]
    else:
        name, changes = settings_of_file(name, settings, config, own_seeds=True)
    members = ensembles.placed(
        ensembles.ensemble_specs(name, nets),
        store,
        pretrain_store,
        changes,
        write_notes if print_commands else _log,
    )
    if only is not None and only not in {member.name for member in members}:
        raise CommandError(f"no member {only!r}; choose from: {', '.join(member.name for member in members)}")
    chosen = _device(members, device)
    runner = Runner(
        out,
        members,
        chosen,
        progress=lambda run: (
            lambda total, done: progress_bar(
                run, total, done=done, unit="images", silent=not distributed.is_main()
            )
        ),
        log=_log,
    )
    if print_commands:
        _check(members)
        typed = {"--config": config, "--pretrain-store": pretrain_store, "--nets": nets}
        more = [word for key, value in typed.items() if value is not None for word in (key, str(value))]
        more += [] if device == "auto" else ["--device", device]
        words = ["alexnet", "ensemble", name, "--store", str(store), "--out", str(out), *more]
        for line in runner.command_lines([*words, *typed_settings]):
            write_lines(line)
        return
    with distributed.running(chosen):
        _check(members)
        distributed.broadcast_result(lambda: EnsembleDir.begin(out, name, _described(members)).path)
        wanted = members if only is None else [each for each in members if each.name == only]
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        if not runner.train(wanted, deadline=deadline, wait=False):
            runner.train(runner.pending(wanted), deadline=deadline)
        if only is None:
            _log(next_command("evaluate", out, "--store", store))


def _device(members: Sequence[RunSpec], device: str) -> torch.device:
    """The device of all members; CommandError if they would be on different ones."""

    configs = [member.config() for member in members]
    chosen, *others = dict.fromkeys(choose_device(device, config.model.tower_devices) for config in configs)
    if others:
        raise CommandError(
            f"the models would be on {chosen} and on {others[0]}: type the same model.tower_devices= for all"
        )
    return chosen


def _check(members: Sequence[RunSpec]) -> None:
    """CommandError or DataError, before the first model is trained, if one does not fit its store."""
    from alexnet import distributed
    from alexnet.data.store import Store, training_images
    from alexnet.tasks.config import task_info
    from alexnet.training.plan import make_plan
    from alexnet.training.run import VALIDATION
    from alexnet.training.train_state import check_network

    for member in members:
        config, opened = member.config(), Store.open(member.store)
        if not task_info(config.training.loss).classifies:
            raise CommandError(
                f"{member.recipe} with training.loss={config.training.loss} is not trained to predict "
                "classes, whose probabilities an ensemble averages: use alexnet train"
            )
        opened.split(VALIDATION[0])
        check_network(config, opened)
        make_plan(config, len(training_images(opened, config.data)), distributed.world_size())


def _described(members: Sequence[RunSpec]) -> list[EnsembleMember]:
    """What `ensemble.json` holds."""
    from alexnet.data.store import Store
    from alexnet.experiments import ensembles

    digests = {store: Store.open(store).digest for store in {member.store for member in members}}
    return [
        replace(
            each,
            settings=(*member.overrides, f"training.seed={member.seed}"),
            store_digest=digests[member.store],
        )
        for each, member in zip(ensembles.described_members(members), members, strict=True)
    ]


def _log(line: str) -> None:
    from alexnet import distributed

    if distributed.is_main():
        write_lines(line)
