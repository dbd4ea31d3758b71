"""`alexnet.create_model`: a network by the name of its recipe, with initial or trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from alexnet import recipes
from alexnet.config import override
from alexnet.errors import CommandError
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle, first_mismatch
from alexnet.models.convert import from_torchvision, in_rgb
from alexnet.models.registry import build_run
from alexnet.optim.param_groups import parameter_layers
from alexnet.runs.run_dir import PRETRAINED, find_weights

_CLASSES = 1000
"""Of ImageNet, for which most recipes are."""


def create_model(
    name: str = "alexnet-2012",
    num_classes: int | None = None,
    *settings: str,
    pretrained: bool | str | Path = False,
) -> nn.Module:
    """The model of a recipe: `forward(images (N, C, crop, crop)) -> logits (N, num_classes)`.

    `name` is one of `alexnet.list_models()`. `settings` such as `"data.input_size=64"` or
    `"model.dropout=0"` change fields of the recipe's configuration.

    `pretrained` is the run directory or the exported file with the weights; `True` is the network that comes
    with the package, an `alexnet-small` (docs/pretrained.md). The last layer is copied if it has as many
    classes, and keeps its initial weights otherwise. `num_classes` is by default that of these weights, and
    1,000 without them. The inputs must be those of the trained model: `alexnet.load(...).preprocessing`.

    Initial weights come from torch's generator: `torch.manual_seed` makes them repeatable. The model is on
    the CPU in training mode, as torch makes it. CommandError for a recipe or setting that does not exist and
    for weights of another kind of model, which names the first tensor that differs; errors of
    `alexnet.load` for a file that cannot be loaded::

        model = alexnet.create_model("alexnet-2012", 10, "input_size=112")
        model = alexnet.create_model("alexnet-small", 10, "input_size=56", pretrained=True)
    """
    config = override(recipes.get(name), settings)
    if pretrained is False:
        return build_run(config, num_classes or _CLASSES)
    path = Path(PRETRAINED if pretrained is True else pretrained)
    source = bundle.load(find_weights(path), "cpu", needs_weights=True)
    model = build_run(config, num_classes or len(source.classes))
    _copy(model, in_rgb(source.model, source.preprocessing.channels), _described(path, source))
    return model


def load_torchvision_weights(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Copies the `state_dict` of torchvision's AlexNet or of one of its VGGs into the same model of ours.

    The recipes are `alexnet-torchvision`, `vgg-a`, `vgg-b`, `vgg-d`, `vgg-e` and these with `-batchnorm`. If
    the number of classes differs, the last layer keeps its weights. Returns the names of the tensors that
    were not copied: none, or those of the last layer. Inputs are normalized as torchvision's.

    DataError for names that are not torchvision's; CommandError, with the first tensor that differs, for
    another model::

        model = alexnet.create_model("alexnet-torchvision", 1000)
        load_torchvision_weights(model, torchvision.models.alexnet(weights="DEFAULT").state_dict())
    """
    return _copy(model, from_torchvision(state), "torchvision's model")


def _copy(model: nn.Module, weights: Mapping[str, Tensor], described: str) -> list[str]:
    """Copies all tensors, except those of the last layer if it has another number of classes.

    Returns the names of the tensors that were not copied.
    """
    own = model.state_dict()
    last = parameter_layers(model)[-1]
    head = [name for name in own if name.rpartition(".")[0] == last]
    apart = [name for name in head if name in weights and weights[name].shape[0] != own[name].shape[0]]
    left_out = head if apart else []
    fitting = {name: tensor for name, tensor in weights.items() if name not in left_out}
    kept = {name: tensor for name, tensor in own.items() if name not in left_out}
    if found := first_mismatch(fitting, kept):
        raise CommandError(f"the weights are those of {described}, which does not fit: {found}")
    model.load_state_dict(own | fitting)
    return left_out


def _described(path: Path, source: ModelBundle) -> str:
    crop = source.preprocessing.crop
    return f"{path}, a model of the recipe {source.config.recipe} for inputs of {crop} pixels"
