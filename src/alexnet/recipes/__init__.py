"""Configuration as code: each recipe is a function returning one `RunConfig`.

The first line of a recipe's docstring says what it is; `Source:` and `Expected:` lines say where its
constants come from and what error to expect. `alexnet recipes` prints them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from alexnet.config import RunConfig, validate
from alexnet.errors import CommandError
from alexnet.recipes import alexnet, classic, lenet, overfeat, vgg

_FAMILIES = alexnet.RECIPES, overfeat.RECIPES, vgg.RECIPES, lenet.RECIPES, classic.RECIPES
_RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe().recipe: recipe for family in _FAMILIES for recipe in family
}


def names() -> list[str]:
    """Every recipe's name, in the order they are listed."""
    return list(_RECIPES)


def get(name: str) -> RunConfig:
    """The recipe's configuration; CommandError names the nearest recipe when there is none of that name."""
    return validate(function(name)())


def function(name: str) -> Callable[[], RunConfig]:
    """The function behind a recipe's name; its docstring says what to expect of it."""
    if name not in _RECIPES:
        near = difflib.get_close_matches(name, _RECIPES, n=1)
        hint = f"the nearest is {near[0]!r}" if near else "`alexnet recipes` lists them"
        raise CommandError(f"unknown recipe {name!r}; {hint}")
    return _RECIPES[name]
