"""Experiments: lists of runs, and the runner that trains them; ensembles, and the lecture's claims."""

from __future__ import annotations
