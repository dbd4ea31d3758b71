"""Whether weights fit a net, and how it is said that they do not."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def first_misfit(weights: Mapping[str, Tensor], net: Mapping[str, Tensor]) -> str:
    """How `weights` and the tensors of `net` first differ in name or shape; empty where they fit."""
    return next(filter(None, (misfit(name, weights, net) for name in [*net, *weights])), "")


def misfit(name: str, weights: Mapping[str, Tensor], net: Mapping[str, Tensor]) -> str:
    """`conv1.weight is 64x3x11x11 in these weights, missing in this net`; empty where it is alike."""
    found, wanted = _shape(weights, name), _shape(net, name)
    return "" if found == wanted else f"{name} is {found} in these weights, {wanted} in this net"


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return ("x".join(map(str, tensors[name].shape)) or "scalar") if name in tensors else "missing"
