"""Initialization from another model: which tensors are copied, which keep their initial weights, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.models.bundle import ModelBundle, mismatch
from alexnet.models.convert import in_rgb, normalized_as
from alexnet.optim.param_groups import check_layers, owner, parameter_layers
from alexnet.tasks.config import task_info

BY_COLOR = ("channel-mean", "mean-and-std")
"""The normalizations that subtract one number from each channel, a statistic of training images."""


@dataclass(frozen=True)
class InitFrom:
    """A model file to initialize from."""

    path: Path
    layers: tuple[str, ...] = ()
    """Copy only these layers; all if empty."""


@dataclass(frozen=True)
class TransferReport:
    """Which tensors were copied and which were not."""

    copied: tuple[str, ...]
    new: dict[str, str]
    """Tensors that keep their initial weights, and the reason."""
    unused: tuple[str, ...]
    """Tensors of the source that this model does not have."""

    def lines(self) -> list[str]:
        """One line each for the tensors that were copied, are new (by reason) and were not used."""
        reasons = dict.fromkeys(self.new.values())
        new = [
            f"new: {', '.join(name for name in self.new if self.new[name] == reason)} ({reason})"
            for reason in reasons
        ]
        unused = [f"not used: {', '.join(self.unused)}"] if self.unused else []
        return [f"copied: {', '.join(self.copied) or 'nothing'}", *new, *unused]


def refuse_without_net(config: RunConfig) -> None:
    """CommandError if the configuration fine-tunes, which needs trained weights."""
    if config.training.fine_tuning:
        needed = task_info(config.training.loss).needs_init_from
        other = "" if needed else ", or training.fine_tuning=no"
        raise CommandError(f"{config.recipe} fine-tunes a trained model: type --init-from RUN{other}")


def transfer(
    model: nn.Module,
    classes: Sequence[Class],
    source: ModelBundle,
    layers: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
) -> TransferReport:
    """Copies the tensors of `source` that `match` finds into `model`, and returns what it found.

    If the first layer is frozen and images are normalized in another way here (`preprocessing`), its weights
    are changed so that its output is the same. Errors as `match`; nothing is changed then.
    """
    found, there = match(model, classes, source, layers), _weights_of(source)
    first = parameter_layers(model)[0]
    if preprocessing is not None and f"{first}.weight" in {*found.copied} & {*_frozen(model)}:
        there = _normalized_as(there, first, source.preprocessing, preprocessing)
    model.load_state_dict(model.state_dict() | {name: there[name] for name in found.copied})
    return found


def match(
    model: nn.Module, classes: Sequence[Class], source: ModelBundle, layers: Sequence[str] = ()
) -> TransferReport:
    """Which tensors of `source`, all or those of `layers`, fit `model`, which may be on the meta device.

    The last layer is copied only if both have the same classes in the same order. CommandError if `layers`
    names a layer that does not exist; DataError if a tensor does not fit, or a frozen one is missing.
    """
    known = parameter_layers(model)
    there = _weights_of(source)
    check_layers(layers, known)
    head = _why_not_head(classes, source.classes)
    chosen: list[str] = []
    new: dict[str, str] = {}
    misfits: list[str] = []
    own = model.state_dict()
    for name in own:
        layer = owner(name, known)
        if layers and layer not in layers:
            new[name] = "its layer was not requested"
        elif layer == known[-1] and head and layer not in layers:
            new[name] = head
        elif name not in there and not layers:
            new[name] = "the source has none"
        elif unfit := mismatch(name, there, own):
            misfits.append(unfit)
        elif layer == known[-1] and head:
            raise DataError(f"{layer} cannot be copied: {head}")
        else:
            chosen.append(name)
    if misfits:
        raise DataError(
            f"the model to initialize from does not fit: {misfits[0]}: {_advice(model, source, there)}"
        )
    _check_frozen(model, source, new, known)
    return TransferReport(tuple(chosen), new, tuple(name for name in there if name not in own))


def normalized_as_source(config: RunConfig, own: Preprocessing, source: ModelBundle) -> RunConfig:
    """The configuration with each color's mean and standard deviation in the training of `source`.

    So the first layer that is copied reads inputs like those it learned from. Unchanged if one of the two is
    not normalized by color in the same way, the values are the same, or `config` has values of its own.
    `own` is the preprocessing with the values of the store.
    """
    data, there = config.data, source.preprocessing
    same_way = data.normalization == there.data.normalization and data.channels == there.data.channels
    if not same_way or data.normalization not in BY_COLOR or data.color_mean or data.color_std:
        return config
    if torch.allclose(own.mean, there.mean) and torch.allclose(own.divisor, there.divisor):
        return config
    in_order = slice(None, None, -1 if there.channels == "BGR" else 1)
    mean, std = (tuple(values.tolist()[in_order]) for values in (there.mean, there.std))
    return replace(config, data=replace(data, color_mean=mean, color_std=std))


def _weights_of(source: ModelBundle) -> dict[str, Tensor]:
    """The weights, reordered for RGB inputs, which every model trained here has."""
    return in_rgb(source.model, source.preprocessing.channels)


def _frozen(model: nn.Module) -> list[str]:
    """The tensors that are not trained."""
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def _normalized_as(
    weights: dict[str, Tensor], first: str, there: Preprocessing, here: Preprocessing
) -> dict[str, Tensor]:
    """The weights for another normalization; unchanged if both are the same, or if one subtracts a mean
    image, for which weights cannot compensate.
    """
    same = here.mean.equal(there.mean) and here.divisor.equal(there.divisor)
    if same or here.mean.ndim != 1 or there.mean.ndim != 1:
        return weights
    return normalized_as(weights, first, there, here)


def _check_frozen(
    model: nn.Module, source: ModelBundle, new: Mapping[str, str], known: Sequence[str]
) -> None:
    """Raises an error if frozen layers would give other outputs than in the source."""
    frozen = _frozen(model)
    unknown = next((name for name in frozen if name in new), None)
    if unknown:
        raise DataError(
            f"{owner(unknown, known)} is frozen here and cannot keep its initial weights ({new[unknown]}): "
            "use a model of the same kind for the same classes"
        )
    # It scales activations down in evaluation.
    dropout = source.config.model.dropout
    if frozen and getattr(model, "dropout", dropout) != dropout:
        raise CommandError(f"frozen layers were trained with another dropout: type model.dropout={dropout:g}")


def _why_not_head(here: Sequence[Class], there: Sequence[Class]) -> str:
    """Why the last layer of the source cannot be used here; empty if it can."""
    mine, theirs = [each.wnid for each in here], [each.wnid for each in there]
    if mine == theirs:
        return ""
    if len(mine) != len(theirs):
        return f"{len(mine):,} classes in this run, {len(theirs):,} in the source model"
    return (
        "the same classes in another order"
        if set(mine) == set(theirs)
        else "the source model has other classes"
    )


def _advice(model: nn.Module, source: ModelBundle, there: Mapping[str, Tensor]) -> str:
    """What to type instead if the tensors of the source, `there`, do not fit the model."""
    if _frozen(model):
        return _other_crop(model, source) or "use a model of the same kind and widths (model.variant)"
    return ", or ".join(filter(None, (_other_crop(model, source), _layers_that_fit(model, there))))


def _other_crop(model: nn.Module, source: ModelBundle) -> str:
    """What to type where the source has another input size; empty if it has not."""
    here, there = getattr(model, "crop", 0), getattr(source.model, "crop", 0)
    if here == there or not here or not there:
        return ""
    setting = getattr(model, "crop_setting", "data.input_size")
    return f"its inputs have {there} pixels, those of this model {here}: type {setting}={there}"


def _layers_that_fit(model: nn.Module, there: Mapping[str, Tensor]) -> str:
    """Layers other than the last that could be copied: those of which all tensors fit."""
    own, known = model.state_dict(), parameter_layers(model)
    unfit = {owner(name, known) for name in own if mismatch(name, there, own)}
    fitting = [layer for layer in known[:-1] if layer not in unfit]
    return (
        f"copy only layers that fit, such as --init-layers {','.join(fitting)}"
        if fitting
        else "no layer fits"
    )
