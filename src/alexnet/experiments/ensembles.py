"""The CNN rows of the paper's table 2 as lists of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from alexnet import recipes
from alexnet.config import at_size_of_store, sizes_of_store
from alexnet.errors import CommandError
from alexnet.experiments.spec import RunSpec
from alexnet.runs.run_dir import EnsembleMember
from alexnet.text import suggestion

PLAIN, PRETRAIN, STAR = "alexnet-2012", "alexnet-2012-star-pretrain", "alexnet-2012-star"


def same_recipe(recipe: str, models: int) -> tuple[RunSpec, ...]:
    """`models` runs of a recipe that differ only in their seed; CommandError if the recipe is unknown."""
    recipes.function(recipe)
    if models < 1:
        raise CommandError(f"an ensemble of {models} models is not possible: it must have at least 1")
    return tuple(RunSpec(f"seed-{seed}", recipe, seed=seed) for seed in range(models))


def star(models: int) -> tuple[RunSpec, ...]:
    """`models` runs with a sixth convolution, each pre-trained on other classes and then fine-tuned."""
    members: list[RunSpec] = []
    for seed in range(models):
        first = RunSpec(f"star-{seed}-pretrain", PRETRAIN, seed=seed)
        members += [first, RunSpec(f"star-{seed}", STAR, seed=seed, init_from=first.name)]
    return tuple(members)


ENSEMBLES: dict[str, tuple[RunSpec, ...]] = {
    "1-cnn": same_recipe(PLAIN, 1),
    "5-cnns": same_recipe(PLAIN, 5),
    "1-cnn-star": star(1),
    "7-cnns-star": same_recipe(PLAIN, 5) + star(2),
}
"""The CNN rows of table 2, in its order: "7 CNNs*" are five plain models and two pre-trained ones."""

DEFAULT_MODELS = 5


def ensemble_specs(name: str, models: int | None = None) -> tuple[RunSpec, ...]:
    """The members of an ensemble of `ENSEMBLES`, or `models` (default: 5) runs of the recipe of that name.

    CommandError names the nearest where there is neither, and where `models` has no meaning.
    """
    if name in ENSEMBLES:
        if models is not None:
            raise CommandError(f"--nets is for a recipe's name: {name} has its own models")
        return ENSEMBLES[name]
    if name in recipes.names():
        if recipes.get(name).training.fine_tuning:
            raise CommandError(f"{name} fine-tunes pre-trained models: choose 1-cnn-star or 7-cnns-star")
        return same_recipe(name, models or DEFAULT_MODELS)
    otherwise = f"choose from: {', '.join(ENSEMBLES)}, or any recipe"
    hint = suggestion(name, [*ENSEMBLES, *recipes.names()], otherwise)
    raise CommandError(f"unknown ensemble {name!r}; {hint}")


def is_pretraining(member: RunSpec, members: Sequence[RunSpec]) -> bool:
    """Whether another member is initialized from it: it is trained on other classes and is not averaged."""
    return any(each.init_from == member.name for each in members)


def placed(
    members: Sequence[RunSpec],
    store: Path,
    pretrain_store: Path | None,
    settings: Sequence[str],
    log: Callable[[str], None],
) -> tuple[RunSpec, ...]:
    """The members with their stores, and with the settings for each of them.

    `key=value` is set for all, `RECIPE:key=value` for members of that recipe. Image sizes that the settings
    lack follow from the stores, which is logged. CommandError for a recipe that no member is of, and where a
    store is missing or not needed.
    """
    from alexnet.data.store import Store  # loads pyarrow, which lists of runs do not need

    if pretrain_store is not None and not any(is_pretraining(each, members) for each in members):
        raise CommandError("--pretrain-store is for pre-trained models: there are none here")
    made: list[RunSpec] = []
    logged: list[str] = []
    for member in members:
        own = store
        if is_pretraining(member, members):
            if pretrain_store is None:
                raise CommandError(
                    f"{member.name} is pre-trained on other classes: type their store, --pretrain-store"
                )
            own = pretrain_store
        chosen, config = _settings_of(member, settings, members), recipes.get(member.recipe)
        side = Store.open(own).side
        at_size_of_store(config, chosen, side, logged.append)
        made.append(replace(member, store=own, overrides=(*sizes_of_store(config, chosen, side), *chosen)))
    for line in dict.fromkeys(logged):
        log(line)
    return tuple(made)


def _settings_of(member: RunSpec, settings: Sequence[str], members: Sequence[RunSpec]) -> tuple[str, ...]:
    chosen: list[str] = []
    for setting in settings:
        recipe, colon, rest = setting.partition(":")
        if not colon or "=" in recipe:
            chosen.append(setting)
        elif recipe not in {each.recipe for each in members}:
            there = ", ".join(dict.fromkeys(each.recipe for each in members))
            raise CommandError(f"{setting}: no member has the recipe {recipe!r}; choose from: {there}")
        elif recipe == member.recipe:
            chosen.append(rest)
    if any(setting.partition("=")[0] in ("seed", "training.seed") for setting in chosen):
        raise CommandError("the members differ in training.seed: omit it")
    return tuple(chosen)


def described_members(members: Sequence[RunSpec]) -> list[EnsembleMember]:
    """The members as `ensemble.json` describes them, without settings and stores."""
    return [
        EnsembleMember(
            name=member.name,
            pretraining=is_pretraining(member, members),
            recipe=member.recipe,
            seed=member.seed,
            init_from=member.init_from,
        )
        for member in members
    ]
