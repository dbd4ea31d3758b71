"""A net's variants by name, each a dataclass of constants, with fields changed where the name goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from alexnet.config import from_dict
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Variant = TypeVar("Variant", bound="DataclassInstance")


def variant_of(variants: Mapping[str, Variant], text: str, net: str) -> Variant:
    """The variant that `text` names: `modern`, or `modern towers=2 pool_size=2` with fields changed.

    Lists are JSON without spaces: `2012 stages=["pool+relu",...]`. CommandError, naming the `net`, where
    there is no such variant; ConfigError on fields that do not exist.
    """
    name, *settings = text.split() or [""]
    if name not in variants:
        raise CommandError(f"unknown variant {name!r} of {net}; it must be one of {', '.join(variants)}")
    changes: dict[str, Any] = {key: value for key, _, value in (text.partition("=") for text in settings)}
    parsed = from_dict(type(variants[name]), changes, "variant ")
    return replace(variants[name], **{key: getattr(parsed, key) for key in changes})
