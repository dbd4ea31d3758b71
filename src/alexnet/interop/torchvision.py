"""torchvision's AlexNet and VGGs: a state_dict written by `torch.save`."""

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
from alexnet.interop.importers import NO_COLOR_STATISTICS, make_bundle, prefixed_errors
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import TORCHVISION_RECIPES, from_torchvision, model_of

ADVICE = "give a state_dict, saved by torch.save(model.state_dict(), FILE)"


def read_torchvision(path: Path, classes: Sequence[Class] = ()) -> ModelBundle:
    """The model in a file of torchvision, with ImageNet's classes by default and torchvision's preprocessing.

    CommandError if there is no file, or if `classes` are needed; DataError if the file is anything
    but such a state_dict.
    """
    with prefixed_errors(path):
        state = _state_dict(path)
        weights = from_torchvision(state)
    config = recipes.get(TORCHVISION_RECIPES[model_of(state)])
    data = replace(config.data, image_size=256, scales=(0, 0), normalization="mean-and-std")
    config = validate(replace(config, data=data))
    preprocessing = Preprocessing(
        data=data,
        mean=255 * torch.tensor(published.alexnet.TORCHVISION_CHANNEL_MEANS),
        std=255 * torch.tensor(published.alexnet.TORCHVISION_CHANNEL_DEVIATIONS),
        resized={"shape": "square", "resize": "crop", "resampling": "bilinear, antialiased"},
        **NO_COLOR_STATISTICS,
    )
    return make_bundle(path, config, preprocessing, weights, classes)


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CommandError(f"no file at {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about pickles that it then refuses
            state: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"refused: it contains more than tensors, and loading it could execute code; {ADVICE}"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError("not a complete file of torch.save: copy it again") from error
    if not isinstance(state, dict):
        raise DataError(f"it contains a {type(state).__name__}; {ADVICE}")
    named = _unwrapped(cast(dict[object, object], state))
    if not all(isinstance(name, str) and isinstance(each, Tensor) for name, each in named.items()):
        raise DataError(f"it contains other things than named tensors; {ADVICE}")
    return cast(dict[str, Tensor], named)


def _unwrapped(state: dict[object, object]) -> dict[object, object]:
    """The weights in a checkpoint of pytorch/examples, which has more entries and `module.` in names."""
    inner = state.get("state_dict", state)
    named = cast(dict[object, object], inner) if isinstance(inner, dict) else state
    return {
        name.replace("module.", "") if isinstance(name, str) else name: each for name, each in named.items()
    }
