"""`alexnet config RECIPE|RUN [KEY=VALUE...]`: a whole configuration, with what each key means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from alexnet import recipes
from alexnet.classic.config import SHARED_KEYS
from alexnet.cli.options import ConfigOption, SettingsArgument, recipe_names, settings_of_file
from alexnet.cli.output import write_lines
from alexnet.config import RunConfig, override, to_dict
from alexnet.runs.hugging_face import is_model_repository
from alexnet.runs.run_dir import RunDir


def command(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|RUN", help="A recipe, or a run directory.", autocompletion=recipe_names
        ),
    ] = "",
    settings: SettingsArgument = None,
    config: ConfigOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with the size of the model.")
    ] = False,
) -> None:
    """Print a configuration as YAML, with the meaning, type, default and range of every key.

    The file can be edited and trained: alexnet config alexnet-modern > mine.yaml; alexnet train --config
    mine.yaml --store STORE --run RUN. Keys that are left out have the recipe's values. `alexnet help KEY`
    explains one key.

    In the JSON object, `parameters` and `multiply_adds` are those of the model for its input size and for the
    number of classes in its paper (1,000, or ten digits).
    """
    from alexnet.config_file import config_yaml

    found = _configuration(recipe, settings, config)
    text = json_text(configuration_json(found)) if as_json else config_yaml(found)
    write_lines(*text.splitlines())


def _configuration(recipe: str, settings: list[str] | None, config: Path | None) -> RunConfig:
    run = RunDir(Path(recipe))
    is_run = run.config_file.is_file() and not is_model_repository(run.path)
    if config is None and recipe not in recipes.names() and is_run:
        return override(run.config(), settings or [])
    name, given = settings_of_file(recipe, settings, config)
    return override(recipes.get(name), given)


def configuration_json(config: RunConfig) -> dict[str, object]:
    """A configuration and the size of its model."""
    from alexnet.models.summary import summarize  # needs torch, unlike the YAML

    size = summarize(config)
    values = to_dict(config)
    if config.classic is not None:
        values = _shared(values)
    return {**values, "parameters": size.parameters, "multiply_adds": size.multiply_adds}


def _shared(values: dict[str, Any]) -> dict[str, Any]:
    """A classic pipeline's configuration without the fields that only networks have."""
    kept: dict[str, Any] = {"recipe": values["recipe"]}
    for key in SHARED_KEYS:
        section, _, field = key.partition(".")
        kept.setdefault(section, {})[field] = values[section][field]
    return {**kept, "classic": values["classic"]}


def json_text(value: Any, indent: str = "") -> str:
    """JSON with a line for each field and each object of a list; lists of numbers and texts on one line."""
    inner = indent + "  "
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        lines = [f"{inner}{json.dumps(key)}: {json_text(each, inner)}" for key, each in fields]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" if lines else "{}"
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    if any(isinstance(each, dict) for each in entries):
        return "[\n" + ",\n".join(inner + json_text(each, inner) for each in entries) + f"\n{indent}]"
    return json.dumps(value)
