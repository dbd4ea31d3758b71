"""Speed and memory, as ratios to a peer and to the machine's limit in one run."""

from __future__ import annotations
