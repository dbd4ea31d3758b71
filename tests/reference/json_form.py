"""Checks a value against the subset of JSON Schema that the API's document uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_KNOWN = {
    *("type", "properties", "required", "additionalProperties", "items"),
    *("minimum", "maximum", "enum", "const", "description", "$ref", "default", "title"),
}


def misfits(value: Any, form: Mapping[str, Any], named: Mapping[str, Any], at: str = "it") -> list[str]:
    """A line for each violation of the schema; `named` are the document's schemas."""
    assert set(form) <= _KNOWN, f"{set(form) - _KNOWN} is not checked"
    if "$ref" in form:
        return misfits(value, named[form["$ref"].rpartition("/")[2]], named, at)
    if "enum" in form:
        return [] if value in form["enum"] else [f"{at}: {value!r} is none of {form['enum']}"]
    if "const" in form:
        return [] if value == form["const"] else [f"{at}: {value!r} is not {form['const']!r}"]
    kind = form["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{at}: {value!r} is no {kind}"]
    found = []
    if ("minimum" in form and value < form["minimum"]) or ("maximum" in form and value > form["maximum"]):
        found.append(f"{at}: {value} is out of bounds")
    if kind == "array":
        for number, item in enumerate(value):
            found += misfits(item, form["items"], named, f"{at}[{number}]")
    if kind == "object":
        properties = form.get("properties", value)
        found += [f"{at}: {name} is missing" for name in form.get("required", ()) if name not in value]
        found += [f"{at}: {name} is not described" for name in value if name not in properties]
        for name, inner in form.get("properties", {}).items():
            if name in value:
                found += misfits(value[name], inner, named, f"{at}.{name}")
    return found
