"""torchvision's AlexNet and VGGs: a state_dict that `torch.save` wrote."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from alexnet import published, recipes
from alexnet.config import validate
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.interop.importers import NO_COLOR_STATISTICS, about, put_together
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import RECIPES, from_torchvision, net_of

WANTED = "give a state_dict, saved by torch.save(net.state_dict(), FILE)"


def read(path: Path, classes: Sequence[Class] = ()) -> ModelBundle:
    """The net in torchvision's file, by default with ImageNet's classes, seeing photos as torchvision has it.

    CommandError where there is no file, or where `classes` are wanted; DataError where the file holds
    anything but such a state_dict.
    """
    with about(path):
        state = _state_dict(path)
        weights = from_torchvision(state)
    config = recipes.get(RECIPES[net_of(state)])
    data = replace(config.data, image_size=256, scales=(0, 0), normalization="mean-and-std")
    config = validate(replace(config, data=data))
    preprocessing = Preprocessing(
        data=data,
        mean=255 * torch.tensor(published.alexnet.TORCHVISION_CHANNEL_MEANS),
        std=255 * torch.tensor(published.alexnet.TORCHVISION_CHANNEL_DEVIATIONS),
        resized={"shape": "square", "resize": "crop", "resampling": "bilinear, antialiased"},
        **NO_COLOR_STATISTICS,
    )
    return put_together(path, config, preprocessing, weights, classes)


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CommandError(f"no file at {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on pickles that it then refuses
            state: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"refused: it holds more than tensors, and opening it could run code; {WANTED}"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError("not a whole file of torch.save: copy it again") from error
    if not isinstance(state, dict):
        raise DataError(f"it holds a {type(state).__name__}; {WANTED}")
    named = _unwrapped(cast(dict[object, object], state))
    if not all(isinstance(name, str) and isinstance(each, Tensor) for name, each in named.items()):
        raise DataError(f"it holds other things than named tensors; {WANTED}")
    return cast(dict[str, Tensor], named)


def _unwrapped(state: dict[object, object]) -> dict[object, object]:
    """The weights in a checkpoint of pytorch/examples, which holds more and has `module.` in names."""
    inner = state.get("state_dict", state)
    named = cast(dict[object, object], inner) if isinstance(inner, dict) else state
    return {
        name.replace("module.", "") if isinstance(name, str) else name: each for name, each in named.items()
    }
