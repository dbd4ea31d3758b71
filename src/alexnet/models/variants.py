"""A net's variants by name, each a dataclass of constants, with fields changed where the name goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from alexnet.errors import CommandError
from alexnet.serialization import from_dict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Variant = TypeVar("Variant", bound="DataclassInstance")


def variant_of(variants: Mapping[str, Variant], text: str, net: str) -> Variant:
    """The variant that `text` names: `modern`, or `modern towers=2 pool_size=2` with fields changed.

    Lists are JSON: `2012 stages=["pool+relu",...]`. CommandError, naming the `net`, where there is no such
    variant; ConfigError on fields that do not exist.
    """
    name, *settings = re.split(r"\s+(?=\w+=)", text.strip())
    if name not in variants:
        raise CommandError(f"unknown variant {name!r} of {net}; it must be one of {', '.join(variants)}")
    changes: dict[str, Any] = {key: value for key, _, value in (text.partition("=") for text in settings)}
    parsed = from_dict(type(variants[name]), changes, "variant ")
    return replace(variants[name], **{key: getattr(parsed, key) for key in changes})


def text_of(variants: Mapping[str, Variant], name: str, variant: Variant) -> str:
    """What `variant_of` makes `variant` of: the name, and each field in which it differs from that one."""
    named = variants[name]
    values = {field.name: getattr(variant, field.name) for field in fields(variant)}
    changes = {key: value for key, value in values.items() if value != getattr(named, key)}
    return " ".join([name, *(f"{key}={_in_text(value)}" for key, value in changes.items())])


def _in_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, separators=(",", ":")) if isinstance(value, tuple) else str(value)
