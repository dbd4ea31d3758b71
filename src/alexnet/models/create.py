"""`alexnet.create_model` and `alexnet.list_models`: untrained models by the names of their recipes."""

from __future__ import annotations

from torch import nn

from alexnet import recipes
from alexnet.config import override
from alexnet.models.registry import build_run


def list_models() -> list[str]:
    """The names that `create_model` and `alexnet.train` accept: those of all recipes."""
    return recipes.names()


def create_model(name: str = "alexnet-2012", num_classes: int = 1000, *settings: str) -> nn.Module:
    """The untrained model of a recipe: `forward(images (N, C, crop, crop)) -> logits (N, num_classes)`.

    `settings` such as `"data.input_size=64"` or `"model.dropout=0"` change fields of the recipe's
    configuration. Initial weights come from torch's generator: `torch.manual_seed` makes them repeatable.
    CommandError for a recipe or setting that does not exist.
    """
    return build_run(override(recipes.get(name), settings), num_classes)
