"""The runs behind `results/`: which they are, and one command that makes each of them anew."""

from __future__ import annotations
