"""The lecture's claims as they were measured: a table of the verdicts recorded under `results/claims/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.report.tables import ABSENT, Table

FOLDER, VERDICT = "claims", "claim.json"
ORDER = (
    *("relu", "lrn", "overlap", "dropout", "bias-one", "schedules", "augmentation", "averaging"),
    *("more-data", "towers-and-depth", "features-travel"),
)
"""The lecture's; others come after."""
NONE = ("not recorded yet",)


def claims(results: Path) -> Table:
    """A row for each comparison of each recorded claim: band, what was found, verdict."""
    rows: list[list[str]] = []
    for claim in recorded(results):
        for each in claim["comparisons"]:
            rows.append(
                [
                    f"[`{claim['id']}`](results/{FOLDER}/{claim['folder']})",
                    each["words"] + ("" if each["decides"] else " (beside)"),
                    each["band_words"],
                    each["paper"] or ABSENT,
                    found_words(each),
                    each["over"],
                    _photos(claim),
                    each["verdict"] + (f": {each['reason']}" if each["reason"] else ""),
                ]
            )
    columns = (
        "claim",
        "what is compared",
        "held if",
        "the source says",
        "found (95 % interval)",
        "over",
        "photos",
        "verdict",
    )
    return Table(columns, rows or [NONE + (ABSENT,) * 7], notes=_without_result(results))


def claims_in_short(results: Path) -> Table:
    """A row for each recorded claim: what it says, and its verdict on each kind of photos."""
    verdicts: dict[tuple[str, str], list[str]] = {}
    for claim in recorded(results):
        said = f"{claim['verdict']}, {_how_many_held(claim)}"
        where = f"[{_photos(claim)}](results/{FOLDER}/{claim['folder']}): {said}"
        verdicts.setdefault((claim["statement"], claim["source"]), []).append(where)
    rows = [[*what, "; ".join(where)] for what, where in verdicts.items()]
    columns = ("claim", "source", "photos: verdict, comparisons that held")
    return Table(columns, rows or [NONE + (ABSENT,) * 2], notes=_without_result(results))


def _photos(claim: Mapping[str, Any]) -> str:
    """What it was tested on: the store's name, with its pixels if that does not end with them."""
    store, side = claim["data"]["store"], claim["data"]["side"]
    return store if store.endswith(f"-{side}") else f"{store}, {side} pixels"


def _without_result(results: Path) -> list[str]:
    """A note that names the lecture's claims of which nothing is recorded; none where all are."""
    there = {claim["id"] for claim in recorded(results)}
    missing = [f"`{id_}`" for id_ in ORDER if id_ not in there]
    return [f"No result is recorded yet of {', '.join(missing)}."] if missing else []


def _how_many_held(claim: Mapping[str, Any]) -> str:
    verdicts = [each["verdict"] for each in claim["comparisons"] if each["decides"]]
    return f"{verdicts.count('held')} of {len(verdicts)}"


def recorded(results: Path) -> list[dict[str, Any]]:
    """What was found of each recorded claim, in the lecture's order, with the name of its `folder`."""
    found = [
        {**json.loads(file.read_text("utf-8")), "folder": file.parent.name}
        for file in (results / FOLDER).glob(f"*/{VERDICT}")
    ]
    return sorted(found, key=lambda claim: (_place(claim["id"]), claim["folder"]))


def found_words(comparison: Mapping[str, Any]) -> str:
    """A mean with its interval in the comparison's unit: `+1.2 (+0.4 to +2.0) points`."""
    interval = comparison["interval"]
    if interval is None:
        return ABSENT
    unit = comparison["unit"]
    mean, low, high = (_number(interval[end], unit) for end in ("mean", "low", "high"))
    more = "at least " if comparison["at_least"] else ""
    return f"{more}{mean} ({low} to {high}){f' {unit}' if unit else ''}"


def _number(value: float, unit: str) -> str:
    if unit == "points":
        return f"{100 * value:+.1f}"
    if unit == "times":
        return f"{value:.2f}"
    return f"{value:+.2f}" if unit else f"{value:+.3g}"


def _place(id_: str) -> int:
    return ORDER.index(id_) if id_ in ORDER else len(ORDER)
