"""Going on with a run: its own configuration, with what may be changed changed."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.config import RunConfig, keys, override, to_dict
from alexnet.errors import CommandError
from alexnet.runs.run_dir import RunDir

FIXED = (
    *("data.image_size", "data.input_size", "data.max_images", "optimizer.name", "schedule.name"),
    *("training.batch_size", "training.seed", "training.precision"),
)
"""What a run keeps, beside its net: with a change its position or its state would have no meaning."""


def resumed_config(run: RunDir, recipe: str, settings: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """The run's configuration with `settings` applied, and a line `key: old -> new` for each change.

    CommandError where the run is of another recipe, or where a change would make it another net.
    """
    before = run.config()
    if recipe != before.recipe:
        raise CommandError(
            f"{run.path} is a run of {before.recipe}: type that recipe, or another --run folder"
        )
    after = override(before, settings)
    changes = differences(before, after)
    fixed = [change for change in changes if _is_fixed(change.partition(":")[0])]
    if fixed:
        raise CommandError(
            f"--resume cannot change {'; '.join(fixed)}: leave that setting out, or train in a new folder"
        )
    averaged = [bool(config.training.ema_decay) for config in (before, after)]
    if averaged[0] != averaged[1]:
        raise CommandError("--resume cannot switch training.ema_decay on or off: train in a new folder")
    return after, changes


def _is_fixed(key: str) -> bool:
    # The towers may move: weights and optimizer are saved as on one device.
    return (
        key in FIXED
        or key.startswith("classic.")
        or (key.startswith("model.") and key != "model.tower_devices")
    )


def differences(before: RunConfig, after: RunConfig) -> list[str]:
    """`key: old -> new` for each field that differs."""
    old, new = _flat(before), _flat(after)
    return [f"{key}: {old[key]} -> {new[key]}" for key in old if old[key] != new[key]]


def _flat(config: RunConfig) -> dict[str, object]:
    values = to_dict(config)
    flat: dict[str, object] = {}
    for key in keys(config):
        section, _, name = key.partition(".")
        flat[key] = values[section][name] if name else values[section]
    return flat
