"""`alexnet ensemble NAME --store STORE --out DIR`: the nets of a row of the paper's table 2, one by one."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.completion import recipe_and_ensemble_names, setting_keys

if TYPE_CHECKING:
    import torch

    from alexnet.config import RunConfig
    from alexnet.experiments.ensembles import Member


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="1-cnn, 5-cnns, 1-cnn-star, 7-cnns-star, or any recipe's name.",
            autocompletion=recipe_and_ensemble_names,
        ),
    ],
    store: Annotated[Path, typer.Option(help="What the nets are to tell apart.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder for a run folder of each net.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[key=value]...",
            help="For all nets; RECIPE:key=value for those of a recipe.",
            autocompletion=setting_keys,
        ),
    ] = None,
    pretrain_store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Other, more classes, for the starred nets.")
    ] = None,
    nets: Annotated[
        int | None, typer.Option(min=1, help="How many, where NAME is a recipe.", show_default="5")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Then save and exit with code 75.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:NUMBER.")] = "auto",
) -> None:
    """Train several nets that differ in their seed only, or all nets of a row of the paper's table 2.

    The same command goes on where it was stopped. `alexnet evaluate DIR` then averages their probabilities.
    """
    from alexnet import distributed, recipes
    from alexnet.config import override
    from alexnet.errors import CommandError
    from alexnet.experiments import ensembles
    from alexnet.hardware import choose_device
    from alexnet.runs.run_dir import EnsembleDir

    members = ensembles.members_of(name, nets)
    words = [_settings_of(member, settings or [], members) for member in members]
    configs = [
        override(recipes.get(member.recipe), each) for member, each in zip(members, words, strict=True)
    ]
    stores = [_store_of(member, store, pretrain_store) for member in members]
    if pretrain_store is not None and pretrain_store not in stores:
        raise CommandError(f"--pretrain-store goes with starred nets: {name} has none")
    chosen, *others = dict.fromkeys(choose_device(device, config.model.tower_devices) for config in configs)
    if others:
        raise CommandError(
            f"the nets would be on {chosen} and on {others[0]}: type the same model.tower_devices= for all"
        )
    _check(configs, stores)
    with distributed.running(chosen):
        distributed.broadcast_result(
            lambda: EnsembleDir.begin(out, _description(name, members, words, stores)).path
        )
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        for number, member in enumerate(members):
            _say(f"\n# {number + 1} of {len(members)}: {member.name} ({member.recipe}, seed {member.seed})")
            _train(member, stores[number], out, words[number], chosen, deadline)
        _say(f"next: alexnet evaluate {out} --store {store}")


def _train(
    member: Member, store: Path, out: Path, settings: list[str], device: torch.device, deadline: float | None
) -> None:
    from alexnet.cli.train import train_run
    from alexnet.errors import Stopped
    from alexnet.runs.metrics_log import has_finished

    run = out / member.name
    if has_finished(run / "metrics.jsonl"):
        _say("done before")
        return
    minutes = None if deadline is None else max(0.0, (deadline - time.monotonic()) / 60)
    init_from = out / member.init_from if member.init_from else None
    begun = (run / "config.json").is_file()
    try:
        train_run(member.recipe, store, run, settings, device, begun, minutes, init_from)
    except Stopped as stopped:
        raise Stopped(f"{member.name} is saved on its way: the same command goes on") from stopped


def _check(configs: list[RunConfig], stores: list[Path]) -> None:
    """CommandError or DataError, before the first net is trained, where one does not fit its store."""
    from alexnet.data.store import Store, training_images
    from alexnet.tasks.validation import VALIDATION
    from alexnet.training.plan import make_plan
    from alexnet.training.train_state import check

    for config, store in zip(configs, stores, strict=True):
        opened = Store.open(store)
        opened.split(VALIDATION[0])
        check(config, opened)
        make_plan(config, len(training_images(opened, config.data)), 1)


def _settings_of(member: Member, settings: list[str], members: tuple[Member, ...]) -> list[str]:
    """What the command line sets for this member; CommandError for a recipe that none of them is of."""
    from alexnet.errors import CommandError

    chosen: list[str] = []
    for setting in settings:
        recipe, colon, rest = setting.partition(":")
        if not colon or "=" in recipe:
            chosen.append(setting)
        elif recipe not in {each.recipe for each in members}:
            there = ", ".join(dict.fromkeys(each.recipe for each in members))
            raise CommandError(f"{setting}: no member is of recipe {recipe!r}; there are {there}")
        elif recipe == member.recipe:
            chosen.append(rest)
    if any(setting.startswith("training.seed=") for setting in chosen):
        raise CommandError("training.seed is what the members differ in: leave it out")
    return [*chosen, f"training.seed={member.seed}"]


def _store_of(member: Member, store: Path, pretrain_store: Path | None) -> Path:
    from alexnet.errors import CommandError

    if not member.pretraining:
        return store
    if pretrain_store is None:
        raise CommandError(
            f"{member.name} is pre-trained on other classes: name their store, --pretrain-store"
        )
    return pretrain_store


def _description(
    name: str, members: tuple[Member, ...], settings: list[list[str]], stores: list[Path]
) -> dict[str, Any]:
    from alexnet.data.store import Store

    digests = {store: Store.open(store).digest for store in stores}
    rows = zip(members, settings, stores, strict=True)
    return {
        "name": name,
        "members": [
            {
                **asdict(member),
                "settings": words,
                "store_digest": digests[store],
            }
            for member, words, store in rows
        ],
    }


def _say(line: str) -> None:
    from alexnet import distributed

    if distributed.is_main():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
