"""The license of a model's weights and where they come from, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LABELS = {
    "weights_license": "license of the weights",
    "code_license": "license of the code",
    "data_terms": "training data",
}


def license_text(terms: Mapping[str, str], provenance: Mapping[str, Any]) -> str:
    """One line for each term, for the origin of the weights and for each error that was measured."""
    lines = [f"{label}: {terms[name]}" for name, label in _LABELS.items() if name in terms]
    if provenance:
        lines.append(f"origin: {_origin(provenance)}")
    lines += [f"evaluated: {_errors(entry)}" for entry in provenance.get("errors", [])]
    return "".join(f"{line}\n" for line in lines)


def _origin(provenance: Mapping[str, Any]) -> str:
    imported = provenance.get("imported")
    if imported:
        return f"{imported['file']} of {imported['as']}, sha256 {imported['sha256']}"
    store = provenance["store"] or provenance["store_digest"][:12]
    epochs = provenance["epochs"]
    trained = "fitted to" if epochs is None else f"{epochs} epochs on"
    return (
        f"run {provenance['run']} of {provenance['recipe']}, {trained} {store}, "
        f"seed {provenance['seed']}" + ("" if provenance["finished"] else ", unfinished")
    )


def _errors(entry: Mapping[str, Any]) -> str:
    top5 = entry["top5_error"]
    errors = f"{entry['top1_error']:.2%}" + ("" if top5 is None else f" / {top5:.2%}")
    data = f"{entry['images']:,} images of {entry['store']} {entry['split']}"
    return f"{errors} error on {data}, views: {entry['views']}"
