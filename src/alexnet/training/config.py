"""The training section of a configuration, and its scheduled events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Event:
    """Something that happens once, at a share of the schedule's epochs."""

    at: float
    """Share of the schedule, 0..1."""
    action: Literal["layer-factor", "color-noise-off"]
    layer: str = ""
    value: float = 0.0
    """`layer-factor`: the layer's learning-rate factor from now on; 0 freezes it."""


@dataclass(frozen=True)
class TrainingConfig:
    """The rest of a training run."""

    seed: int = 0
    batch_size: int = 128
    """Images per update, over all processes and micro-batches."""
    grad_accum_steps: int = 1
    """Micro-batches a process splits its share of a batch into; the update is the same but for rounding."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of matrix products and convolutions (autocast); weights, normalizers and loss stay float32."""
    loss: str = "cross-entropy"
    """The training loss, which also chooses the task (`tasks.config.TASKS`); `rbf` needs the distances that
    LeNet-5 outputs."""
    fine_tuning: bool = False
    """The run must begin with a trained net's weights: `train` wants `--init-from`."""
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Beta parameter of mixup (Zhang 2017); 0 is off."""
    cutmix: float = 0.0
    """Beta parameter of CutMix (Yun 2019); 0 is off. With mixup on too, each batch draws one of them."""
    ema_decay: float = 0.0
    """Decay per step of a moving average of the weights, which is then what is tested; 0 is off."""
    evaluate_every_epochs: int = 1
    log_every_steps: int = 20
    checkpoint_every_minutes: float = 10.0
