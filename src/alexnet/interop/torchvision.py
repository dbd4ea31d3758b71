"""torchvision's AlexNet and VGGs: a state_dict written by `torch.save`, alone or in a checkpoint."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor

from alexnet import published, recipes
from alexnet.config import validate
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import DataError
from alexnet.interop.importers import NO_COLOR_STATISTICS, make_bundle, prefixed_errors, renamed_layers
from alexnet.interop.wrong_file import refuse_other_zip, refuse_wrong_file
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import TORCHVISION_RECIPES, from_torchvision, model_of
from alexnet.text import first_few, printable

ADVICE = "give a state_dict, saved by torch.save(model.state_dict(), FILE)"


_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Entries of checkpoints that hold the weights: of Lightning and pytorch/examples, of PyTorch's tutorials, of
torchvision's training scripts."""
_INSIDE = ("module", "_orig_mod")
"""What DataParallel and torch.compile put into names, at any depth."""

# What torch raises for damaged files, besides UnpicklingError.
_DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    ImportError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
_OWN = {"features", "classifier"}
"""First parts of the names of torchvision's layers."""


def read_torchvision(
    path: Path, classes: Sequence[Class] = (), renames: Mapping[str, str] = MappingProxyType({})
) -> ModelBundle:
    """The model in a file of torchvision, with ImageNet's classes by default and torchvision's preprocessing.

    `renames` are new names of layers, after the prefixes of wrappers are removed. CommandError if there is no
    file, or if `classes` or `renames` are needed or do not fit; DataError if the file is anything but such a
    state_dict or checkpoint.
    """
    refuse_wrong_file(path)
    with prefixed_errors(path):
        state = _state_dict(path)
    names = renamed_layers(path, list(dict.fromkeys(map(_layer, state))), renames)
    state = {f"{names[_layer(name)]}.{name.rpartition('.')[2]}": tensor for name, tensor in state.items()}
    with prefixed_errors(path):
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


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _state_dict(path: Path) -> dict[str, Tensor]:
    refuse_other_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about pickles that it then refuses
            state: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"refused: it contains more than tensors{_classes_in(path)}, and loading it could execute code; "
            f"{ADVICE}"
        ) from error
    except _DAMAGE as error:
        raise DataError("not a complete file of torch.save: copy it again") from error
    if not isinstance(state, dict):
        raise DataError(f"it contains a {type(state).__name__}; {ADVICE}")
    named = _unwrapped(cast(dict[object, object], state))
    if not named or not all(isinstance(n, str) and isinstance(each, Tensor) for n, each in named.items()):
        raise DataError(f"it contains other things than named tensors ({_entries(named)}); {ADVICE}")
    for name, tensor in cast(dict[str, Tensor], named).items():
        if odd := _oddity(tensor):
            raise DataError(f"its tensor {printable(name[:100])} is {odd}; {ADVICE} of a model on the CPU")
    return _without_prefixes(cast(dict[str, Tensor], named))


def _oddity(tensor: Tensor) -> str:
    """Why a tensor has no numbers that could be weights; empty if it has."""
    oddities = {
        "nested": tensor.is_nested,
        "on the meta device, without values": tensor.is_meta,
        "quantized": tensor.is_quantized,
        "sparse": tensor.layout != torch.strided,
        "complex": tensor.is_complex(),
    }
    return next((name for name, holds in oddities.items() if holds), "")


def _classes_in(path: Path) -> str:
    """The first classes and functions that the file would load, in brackets; empty where unknown."""
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of an unknown pickle
        return ""
    return f" ({', '.join(found[:3])}{', ...' if len(found) > 3 else ''})" if found else ""


def _entries(named: Mapping[object, object]) -> str:
    return first_few([str(name)[:100] for name in named], 5) or "nothing"


def _unwrapped(state: dict[object, object]) -> dict[object, object]:
    """The weights in a checkpoint, which has more entries."""
    inner = next((each for key in _WRAPPERS if isinstance(each := state.get(key), Mapping)), None)
    return state if inner is None else _unwrapped(dict(cast(Mapping[object, object], inner)))


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the model's own names, without those of the objects that it was wrapped in.

    DataError if two tensors would have the same name.
    """
    split = [[part for part in name.split(".") if part not in _INSIDE] for name in state]
    split = [parts[1:] if parts[:1] == ["model"] else parts for parts in split]
    common, most = 0, min(map(len, split), default=0) - 2
    while common < most and len(first := {parts[common] for parts in split}) == 1 and not first & _OWN:
        common += 1
    found = dict(zip((".".join(parts[common:]) for parts in split), state.values(), strict=True))
    if len(found) < len(state):
        names = sorted(name for name in state if name not in found)
        raise DataError(f"it contains several models ({', '.join(names[:3])}, ...); {ADVICE}")
    return found
