"""Evaluations as rows of plain values, for CSV and Parquet files; errors are fractions in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alexnet.report.comparison import ComparisonRow
from alexnet.report.evaluation_tables import name_of
from alexnet.runs.results import EvalResult, Rate

_RATES = ("top1", "top5", "balanced")
_RATE_COLUMNS = {f"{name}_{part}": float for name in _RATES for part in ("error", "low", "high")}
_BOXES = {"top1_localization_error": float, "top5_localization_error": float, "mean_average_precision": float}

RESULT_COLUMNS: Mapping[str, type] = {
    "run": str,
    "recipe": str,
    "models": int,
    "store": str,
    "split": str,
    "views": str,
    "images": int,
    **_RATE_COLUMNS,
    "macro_f1": float,
    "nll": float,
    **_BOXES,
}
CLASS_COLUMNS: Mapping[str, type] = {
    "run": str,
    "wnid": str,
    "class": str,
    "images": int,
    "errors": int,
    "recall": float,
    "precision": float,
    "f1": float,
}
COMPARISON_COLUMNS: Mapping[str, type] = {
    "published": bool,
    "run": str,
    "system": str,
    "data": str,
    "views": str,
    "images": int,
    **_RATE_COLUMNS,
    "difference": float,
    "difference_low": float,
    "difference_high": float,
    **_BOXES,
    "epochs": int,
    "seeds": str,
    "source": str,
}


def result_row(result: EvalResult) -> dict[str, Any]:
    """A row of `RESULT_COLUMNS`; `low` and `high` are the ends of 95 % intervals."""
    classifies = result.classifies
    return {
        "run": name_of(result),
        "recipe": " + ".join(dict.fromkeys(run.recipe for run in result.runs)),
        "models": len(result.runs),
        "store": result.store,
        "split": result.split,
        "views": str(result.views),
        "images": result.images,
        **_rate("top1", result.top1 if classifies else None),
        **_rate("top5", result.top5 if classifies else None),
        **_rate("balanced", result.balanced if classifies else None),
        "macro_f1": result.macro_f1 if classifies else None,
        "nll": result.nll if classifies else None,
        **_boxes(result),
    }


def class_rows(results: Iterable[EvalResult]) -> list[dict[str, Any]]:
    """A row of `CLASS_COLUMNS` for each class of each result."""
    return [
        {
            "run": name_of(result),
            "wnid": each.wnid,
            "class": each.name,
            "images": each.images,
            "errors": each.top1_errors,
            "recall": each.recall,
            "precision": each.precision,
            "f1": each.f1,
        }
        for result in results
        for each in result.per_class
    ]


def comparison_row(row: ComparisonRow) -> dict[str, Any]:
    """A row of `COMPARISON_COLUMNS`."""
    return {
        "published": row.published,
        "run": row.run or None,
        "system": row.system,
        "data": row.data,
        "views": row.views or None,
        "images": row.images,
        **_interval("top1", row.top1_error, row.top1_interval),
        **_interval("top5", row.top5_error, row.top5_interval),
        **_interval("balanced", row.balanced_error, row.balanced_interval),
        **_ends("difference", row.difference_interval),
        "difference": row.difference,
        **(_boxes(row.result) if row.result else {}),
        "epochs": row.epochs,
        "seeds": " ".join(map(str, row.seeds)) or None,
        "source": row.source,
    }


def _rate(name: str, found: Rate | None) -> dict[str, float | None]:
    return _interval(name, found and found.error, found and found.interval)


def _interval(name: str, error: float | None, interval: Sequence[float] | None) -> dict[str, float | None]:
    return {f"{name}_error": error, **_ends(name, interval)}


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _boxes(result: EvalResult) -> dict[str, float | None]:
    found, detected = result.localization, result.detection
    errors = (
        (None, None) if found is None else (found.top1_localization_errors, found.top5_localization_errors)
    )
    rates = [None if found is None else found.rate(each) for each in errors]
    values = [*(each and each.error for each in rates), detected and detected.mean_average_precision]
    return dict(zip(_BOXES, values, strict=True))
