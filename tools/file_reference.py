"""The reference of the JSON files: for each its fields, from the dataclasses that the files hold."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from alexnet.config_keys import field_docs
from alexnet.data.manifest import Manifest
from alexnet.runs import metrics_log
from alexnet.runs.calibration import Calibration
from alexnet.runs.checkpoints import CheckpointMeta, NetworkProgress, PipelineResult
from alexnet.runs.environment import Environment, Imported
from alexnet.runs.fit_record import Fit
from alexnet.runs.results import BoxErrors, ClassErrors, EvalResult, ViewSet
from alexnet.runs.run_dir import EnsembleMember


class FieldRow(NamedTuple):
    """One field of a JSON object."""

    name: str
    meaning: str
    value: str
    """What its value is, such as `a list of numbers`."""


class JsonFile(NamedTuple):
    """A file that holds a dataclass."""

    path: str
    kind: type
    about: str = ""
    """What the dataclass does not say."""


FILES = (
    JsonFile("STORE/header.json", Manifest),
    JsonFile("RUN/environment.json", Environment, "`imported` is there only if the weights were imported."),
    JsonFile(
        "RUN/checkpoints/step-*/meta.json",
        CheckpointMeta,
        "A network has the fields from `epoch` on; a classic pipeline has `result` in their place.",
    ),
    JsonFile(
        "RUN/evaluation.json",
        EvalResult,
        "The file is a list of these, one for each store, split, views and checkpoint. `mean`, `weights`, "
        "`weights_searched_on`, `growth` and `members` are there only for averages, `localization` and "
        "`detection` for models that predict boxes, `measures` for other tasks, and `classifies` if it is "
        "false.",
    ),
    JsonFile("RUN/calibration.json", Calibration),
    JsonFile("RUN/fit.json", Fit),
    JsonFile(
        "RUN/ensemble.json",
        EnsembleMember,
        "In the directory of an ensemble or a fit: an object with `name` and `members`, a list of these.",
    ),
)


def files() -> str:
    """A section for each file, with a table of its fields and of those of the objects in it."""
    return "\n\n".join([*map(_section, FILES), _log()])


def _section(file: JsonFile) -> str:
    tables = [f"### {part.__name__}\n\n{_doc(part)}\n\n{_table(part)}" for part in parts_of(file.kind)]
    paragraphs = [f"## {file.path}", _doc(file.kind), file.about, _table(file.kind), *tables]
    return "\n\n".join(filter(None, paragraphs))


def _log() -> str:
    """The section of the log, which has events of several kinds."""
    _, events, *_ = inspect.cleandoc(metrics_log.__doc__ or "").split("\n\n")
    return f"## RUN/metrics.jsonl\n\n{_in_one_line(events)}"


def _table(kind: type) -> str:
    lines = ["| field | meaning | value |", "|---|---|---|"]
    for row in rows_of(kind):
        cells = (f"`{row.name}`", re.sub(r"\bNone\b", "null", row.meaning), row.value)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def rows_of(kind: type) -> list[FieldRow]:
    """The fields of the JSON object that holds a dataclass, with those that are only written."""
    hints, docs = typing.get_type_hints(kind), _docs(kind)
    rows: list[FieldRow] = []
    for each in dataclasses.fields(kind):
        hint = hints[each.name]
        # A field that holds objects needs no docstring besides theirs.
        meaning = docs.get(each.name) or next(map(_doc, _dataclasses_of(hint)), "")
        rows.append(FieldRow(each.name, meaning, _value(hint)))
    if kind is CheckpointMeta:
        own = [row for row in rows if row.name != "training"]
        return [
            *own,
            *rows_of(NetworkProgress),
            FieldRow("result", _doc(PipelineResult), _value(PipelineResult)),
        ]
    if kind is Imported:
        return [row._replace(name="as") if row.name == "program" else row for row in rows]
    if kind in (EvalResult, Calibration):
        rows.insert(0, FieldRow("format_version", "That of the format.", "a whole number"))
    if kind is EvalResult:
        rows += [*_rates(("top1", "top5"), rows), _of_property(EvalResult, "macro_f1")]
        rows.append(_of_property(EvalResult, "balanced")._replace(name="balanced_error", value="a number"))
        rows.append(_interval("balanced_error", "a list of 2 numbers"))
    if kind is ClassErrors:
        rows += [_of_property(ClassErrors, name) for name in ("recall", "precision", "f1")]
    if issubclass(kind, BoxErrors):
        rows += _rates(
            [row.name.removesuffix("_errors") for row in rows if row.name.endswith("_errors")], rows
        )
    return rows


def parts_of(kind: type) -> list[type]:
    """The dataclasses in a dataclass, at any depth, each once, in order."""
    found: dict[type, None] = {}
    direct = [PipelineResult, NetworkProgress] if kind is CheckpointMeta else _dataclasses_in(kind)
    for part in direct:
        # The fields of a network's progress are those of the checkpoint.
        for each in (*(() if part is NetworkProgress else (part,)), *parts_of(part)):
            found.setdefault(each)
    return list(found)


def _dataclasses_in(kind: type) -> Iterator[type]:
    for hint in typing.get_type_hints(kind).values():
        yield from _dataclasses_of(hint)


def _dataclasses_of(hint: Any) -> Iterator[type]:
    """The dataclasses in the type of a field that are objects in the file."""
    if hint is ViewSet:
        return
    if dataclasses.is_dataclass(hint):
        yield typing.cast(type, hint)
    for part in typing.get_args(hint):
        yield from _dataclasses_of(part)


def _rates(names: Sequence[str], rows: Sequence[FieldRow]) -> Iterator[FieldRow]:
    """What is written beside numbers of errors."""
    values = {row.name: row.value for row in rows}
    for name in names:
        null = " or null" if values[f"{name}_errors"].endswith("or null") else ""
        yield FieldRow(f"{name}_error", f"`{name}_errors` as a fraction of the images.", f"a number{null}")
        yield _interval(f"{name}_error", f"a list of 2 numbers{null}")


def _interval(name: str, value: str) -> FieldRow:
    return FieldRow(f"{name.removesuffix('_error')}_interval", f"The 95 % interval of `{name}`.", value)


def _of_property(kind: type, name: str) -> FieldRow:
    """A property that is written beside the fields."""
    method = inspect.getattr_static(kind, name).fget
    value = typing.get_type_hints(method, vars(inspect.getmodule(kind)))["return"]
    return FieldRow(name, _doc(method), "" if dataclasses.is_dataclass(value) else _value(value))


def _docs(kind: type) -> dict[str, str]:
    """The docstrings of the fields, inherited ones included."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= field_docs(each) if dataclasses.is_dataclass(each) else {}
    return found


def _doc(named: Any) -> str:
    """The first paragraph of the docstring, as one line."""
    return _in_one_line((inspect.getdoc(named) or "").split("\n\n")[0])


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


_WORDS = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    Any: ("any value", "any values"),
}
"""Of one value and of several."""


def _value(hint: Any, many: bool = False) -> str:
    """What a value of that type is in JSON; `many` for the values of a list or an object."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return f"{_value(parts[0])} or null"
    if origin is Literal:
        return f"{'any' if many else 'one'} of {', '.join(f'`{part}`' for part in parts)}"
    if origin in (tuple, list) and (origin is list or parts[-1] is Ellipsis):
        return f"{'lists' if many else 'a list'} of {_value(parts[0], many=True)}"
    if origin is tuple and len(set(parts)) == 1:
        return f"{'lists' if many else 'a list'} of {len(parts)} {_value(parts[0], many=True)}"
    if origin is tuple:
        return f"{'lists' if many else 'a list'} [{', '.join(map(_value, parts))}]"
    if origin is dict:
        return f"{'objects' if many else 'an object'} of {_value(parts[1], many=True)} by name"
    if hint is ViewSet:
        return "text, such as `ten` or `dense@256,384`"
    if dataclasses.is_dataclass(hint):
        name = typing.cast(type, hint).__name__
        return f"{'objects' if many else 'an object'} [{name}](#{name.lower()})"
    return _WORDS[hint][many]
