"""Beginning with another net's weights: which tensors are copied, which stay new, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.models.bundle import ModelBundle, mismatch
from alexnet.models.convert import in_rgb, normalized_as
from alexnet.models.overfeat import OverFeatDetector
from alexnet.optim.param_groups import check_layers, layers_of, owner

FIRST = "conv1.weight"
"""Of the nets with layers that do not learn."""


@dataclass(frozen=True)
class InitFrom:
    """A model file to begin with."""

    path: Path
    layers: tuple[str, ...] = ()
    """Only these are taken; empty is all."""


@dataclass(frozen=True)
class Inherited:
    """What became of each tensor."""

    copied: tuple[str, ...]
    new: dict[str, str]
    """Left as first weights: tensor and reason."""
    unused: tuple[str, ...]
    """Tensors of the given net that have no place here."""

    def lines(self) -> list[str]:
        """A line each for what was copied, what is new (by reason) and what was not used."""
        reasons = dict.fromkeys(self.new.values())
        new = [
            f"new: {', '.join(name for name in self.new if self.new[name] == reason)} ({reason})"
            for reason in reasons
        ]
        unused = [f"not used: {', '.join(self.unused)}"] if self.unused else []
        return [f"copied: {', '.join(self.copied) or 'nothing'}", *new, *unused]


def refuse_without_net(config: RunConfig) -> None:
    """CommandError where the configuration is for fine-tuning: it makes no sense from first weights."""
    if config.training.fine_tuning:
        other = "" if config.training.loss == "boxes" else ", or training.fine_tuning=no"
        raise CommandError(f"{config.recipe} fine-tunes a trained net: type --init-from RUN{other}")


def inherit(
    model: nn.Module,
    classes: Sequence[Class],
    given: ModelBundle,
    layers: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
) -> Inherited:
    """Copies into `model` the tensors of `given` that `match` finds; what it refuses changes nothing.

    Where the first layer does not learn and images are normalized otherwise here (`preprocessing`), it is
    changed so that it answers as it did.
    """
    found, there = match(model, classes, given, layers), _weights_of(given)
    if preprocessing is not None and FIRST in found.copied and FIRST in _frozen(model):
        there = _normalized_as(there, given.preprocessing, preprocessing)
    model.load_state_dict(model.state_dict() | {name: there[name] for name in found.copied})
    return found


def match(
    model: nn.Module, classes: Sequence[Class], given: ModelBundle, layers: Sequence[str] = ()
) -> Inherited:
    """Which tensors of `given`, all or those of `layers`, `model` can begin with; it may be on meta.

    The last layer is copied only where both have the same classes in the same order. CommandError where
    `layers` names one that is not there; DataError where a tensor does not fit, or one is missing that does
    not learn.
    """
    known = layers_of(model)
    there = _weights_of(given)
    check_layers(layers, known)
    head = _why_not_head(classes, given.classes)
    chosen: list[str] = []
    new: dict[str, str] = {}
    misfits: list[str] = []
    own = model.state_dict()
    for name in own:
        layer = owner(name, known)
        if layers and layer not in layers:
            new[name] = "its layer was not asked for"
        elif layer == known[-1] and head and layer not in layers:
            new[name] = head
        elif name not in there and not layers:
            new[name] = "that net has none"
        elif unfit := mismatch(name, there, own):
            misfits.append(unfit)
        elif layer == known[-1] and head:
            raise DataError(f"{layer} cannot be taken: {head}")
        else:
            chosen.append(name)
    if misfits:
        raise DataError(f"the net to begin with does not fit: {misfits[0]}: {_advice(model, given, there)}")
    _refuse_unlike_where_frozen(model, given, new, known)
    return Inherited(tuple(chosen), new, tuple(name for name in there if name not in own))


def _weights_of(given: ModelBundle) -> dict[str, Tensor]:
    """In RGB, as every net sees that we train."""
    return in_rgb(given.model.state_dict(), given.preprocessing.channels)


def _frozen(model: nn.Module) -> list[str]:
    """The tensors that do not learn."""
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def _normalized_as(
    weights: dict[str, Tensor], there: Preprocessing, here: Preprocessing
) -> dict[str, Tensor]:
    """As they are where both see images alike, or subtract a mean image: no weight can stand for that."""
    same = here.mean.equal(there.mean) and here.divisor.equal(there.divisor)
    if same or here.mean.ndim != 1 or there.mean.ndim != 1:
        return weights
    return normalized_as(weights, there, here)


def _refuse_unlike_where_frozen(
    model: nn.Module, given: ModelBundle, new: Mapping[str, str], known: Sequence[str]
) -> None:
    """Errors where layers that do not learn here would not answer as they did in the given net."""
    frozen = _frozen(model)
    unknown = next((name for name in frozen if name in new), None)
    if unknown:
        raise DataError(
            f"{owner(unknown, known)} does not learn here and cannot begin anew ({new[unknown]}): "
            "give a net of the same kind for the same classes"
        )
    # Units are scaled down by it in the test.
    dropout = given.config.model.dropout
    if frozen and getattr(model, "dropout", dropout) != dropout:
        raise CommandError(
            f"layers that do not learn here were trained with another dropout: type model.dropout={dropout:g}"
        )


def _why_not_head(here: Sequence[Class], there: Sequence[Class]) -> str:
    """Why the last layer of a net for other classes has no meaning here; empty where it has."""
    mine, theirs = [each.wnid for each in here], [each.wnid for each in there]
    if mine == theirs:
        return ""
    if len(mine) != len(theirs):
        return f"{len(mine):,} classes here, {len(theirs):,} there"
    return "the same classes in another order" if set(mine) == set(theirs) else "other classes"


def _advice(model: nn.Module, given: ModelBundle, there: Mapping[str, Tensor]) -> str:
    """What to type instead, where the tensors of the given net, `there`, do not fit the model."""
    if _frozen(model):
        return _other_crop(model, given) or "a net of the same kind and widths (model.architecture) is wanted"
    return ", or ".join(filter(None, (_other_crop(model, given), _layers_that_fit(model, there))))


def _other_crop(model: nn.Module, given: ModelBundle) -> str:
    """What to type where the given net sees more or less of a photo at once; empty where it does not."""
    here, there = getattr(model, "crop", 0), getattr(given.model, "crop", 0)
    if here == there or not here or not there:
        return ""
    setting = "model.architecture.window" if isinstance(model, OverFeatDetector) else "data.input_size"
    return f"it sees {there} pixels at once, this one {here}: give {setting}={there}"


def _layers_that_fit(model: nn.Module, there: Mapping[str, Tensor]) -> str:
    """Which layers, but the last, could be taken: those that fit with all they have."""
    own, known = model.state_dict(), layers_of(model)
    unfit = {owner(name, known) for name in own if mismatch(name, there, own)}
    fitting = [layer for layer in known[:-1] if layer not in unfit]
    return (
        f"take only layers that fit, such as --init-layers {','.join(fitting)}"
        if fitting
        else "no layer fits"
    )
