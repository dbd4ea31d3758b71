"""Configuration as code: each recipe is a function returning one `RunConfig`.

The first paragraph of a recipe's docstring describes it; `Source:` and `Expected:` in the last one are
the source of its constants and the error to expect. `alexnet recipes` prints them.
"""

from __future__ import annotations

from collections.abc import Callable

from alexnet.config import RunConfig, validate
from alexnet.errors import CommandError
from alexnet.recipes import alexnet, classic, lenet, overfeat, vgg
from alexnet.text import suggestion

_FAMILIES: dict[str, tuple[Callable[[], RunConfig], ...]] = {
    "AlexNet": alexnet.RECIPES,
    "OverFeat": overfeat.RECIPES,
    "VGG": vgg.RECIPES,
    "LeNet": lenet.RECIPES,
    "Classic pipelines": classic.RECIPES,
}
_RECIPES = {recipe().recipe: recipe for family in _FAMILIES.values() for recipe in family}


def names() -> list[str]:
    """The names of all recipes, in the order in which they are listed."""
    return list(_RECIPES)


def families() -> dict[str, list[str]]:
    """The recipes' names by family."""
    return {title: [recipe().recipe for recipe in family] for title, family in _FAMILIES.items()}


def get(name: str) -> RunConfig:
    """The recipe's configuration; CommandError names the nearest recipe where there is none of that name."""
    return validate(function(name)())


def function(name: str) -> Callable[[], RunConfig]:
    """The function that returns a recipe's configuration; errors as `get`."""
    if name not in _RECIPES:
        hint = suggestion(name, _RECIPES, otherwise="`alexnet recipes` lists them")
        raise CommandError(f"unknown recipe {name!r}; {hint}")
    return _RECIPES[name]
