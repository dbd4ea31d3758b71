"""The recorded runs under `results/`: their list, and a command that repeats each of them."""

from __future__ import annotations
