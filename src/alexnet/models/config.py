"""Which model: the model section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Which net; the number of classes comes from the store."""

    name: str = "alexnet"
    variant: str = "2012"
    dropout: float = 0.5
    """Probability that a unit of the last hidden layers (fc6 and fc7) is silent; 0 is off."""
    activation: str = ""
    """`relu`, `tanh`, ...; empty is the variant's own."""
    bottleneck: int = 0
    """Units of a linear layer between fc7 and fc8, for very many classes (2,048 in 2012); 0 is none."""
    tower_devices: str = ""
    """Two devices, `cuda:0,cuda:1` or `cpu,cpu`, to train a tower each on; empty is both on one."""
