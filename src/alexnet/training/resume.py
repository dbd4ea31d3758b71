"""Resuming a run with its own configuration, and with changes where they are possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alexnet.config import RunConfig, changes, override
from alexnet.errors import CommandError
from alexnet.runs.run_dir import RunDir

FIXED = (
    "data.image_size",
    "data.input_size",
    "data.max_images",
    "optimizer.name",
    "schedule.name",
    "training.batch_size",
    "training.seed",
    "training.precision",
)
"""Settings that cannot change in a run, besides its model: its position or its state would become invalid."""


def resumed_config(run: RunDir, recipe: str, settings: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """The run's configuration with `settings` applied, and a line `key: old -> new` for each change.

    CommandError if the run has another recipe, or if a change would make it another model.
    """
    before = run.config()
    if recipe != before.recipe:
        raise CommandError(
            f"{run.path} is a run of {before.recipe}: type that recipe, or another directory with --run"
        )
    after = override(before, settings)
    fixed = {key: values for key, values in changes(before, after).items() if _is_fixed(key)}
    if fixed:
        raise CommandError(
            f"--resume cannot change {'; '.join(_lines(fixed))}: leave that setting out, or train in a new "
            "folder"
        )
    averaged = [bool(config.training.ema_decay) for config in (before, after)]
    if averaged[0] != averaged[1]:
        raise CommandError("--resume cannot switch training.ema_decay on or off: train in a new folder")
    return after, differences(before, after)


def _is_fixed(key: str) -> bool:
    # Towers may move to other devices: weights and optimizer state are saved as for one device.
    return (
        key in FIXED
        or key.startswith("classic.")
        or (key.startswith("model.") and key != "model.tower_devices")
    )


def differences(before: RunConfig, after: RunConfig) -> list[str]:
    """`key: old -> new` for each setting that differs."""
    return _lines(changes(before, after))


def _lines(changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [f"{key}: {old} -> {new}" for key, (old, new) in changed.items()]
