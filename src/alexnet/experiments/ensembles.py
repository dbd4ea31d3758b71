"""The CNN rows of the paper's table 2 as recipes: which nets are trained, on what, beginning with which."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from alexnet import recipes
from alexnet.errors import CommandError

PLAIN, PRETRAIN, STAR = "alexnet-2012", "alexnet-2012-star-pretrain", "alexnet-2012-star"


@dataclass(frozen=True)
class Member:
    """One net of an ensemble."""

    name: str
    """Of its run folder, in the ensemble's."""
    recipe: str
    seed: int
    init_from: str = ""
    """The member it begins with; empty is first weights of its own."""
    pretraining: bool = False
    """Trained on the store for pre-training; it does not vote."""


def plain(recipe: str, nets: int, first_seed: int = 0) -> tuple[Member, ...]:
    """`nets` nets of a recipe that differ in their seed only; CommandError where there is no such recipe."""
    recipes.function(recipe)
    if nets < 1:
        raise CommandError(f"an ensemble of {nets} nets: it must have at least 1")
    return tuple(Member(f"seed-{seed}", recipe, seed) for seed in range(first_seed, first_seed + nets))


def star(nets: int) -> tuple[Member, ...]:
    """`nets` six-convolution nets, each pre-trained on other classes and then fine-tuned."""
    members: list[Member] = []
    for seed in range(nets):
        first = Member(f"star-{seed}-pretrain", PRETRAIN, seed, pretraining=True)
        members += [first, Member(f"star-{seed}", STAR, seed, init_from=first.name)]
    return tuple(members)


ENSEMBLES: dict[str, tuple[Member, ...]] = {
    "1-cnn": plain(PLAIN, 1),
    "5-cnns": plain(PLAIN, 5),
    "1-cnn-star": star(1),
    "7-cnns-star": plain(PLAIN, 5) + star(2),
}
"""The CNN rows of table 2 in its order: "7 CNNs*" are five plain nets and two that were pre-trained."""


DEFAULT_NETS = 5


def members_of(name: str, nets: int | None = None) -> tuple[Member, ...]:
    """The members of an ensemble of `ENSEMBLES`, or `nets` (5) nets of a recipe of that name.

    CommandError names the nearest where there is neither, and where `nets` has no meaning.
    """
    if name in ENSEMBLES:
        if nets is not None:
            raise CommandError(f"--nets goes with a recipe's name: {name} has its own nets")
        return ENSEMBLES[name]
    if name in recipes.names():
        if recipes.get(name).training.fine_tuning:
            raise CommandError(
                f"{name} fine-tunes nets that were pre-trained: choose 1-cnn-star or 7-cnns-star"
            )
        return plain(name, nets or DEFAULT_NETS)
    near = difflib.get_close_matches(name, [*ENSEMBLES, *recipes.names()], n=1)
    hint = f"the nearest is {near[0]!r}" if near else f"there are {', '.join(ENSEMBLES)}, or any recipe"
    raise CommandError(f"unknown ensemble {name!r}; {hint}")
