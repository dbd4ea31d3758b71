"""Pictures of trained runs: each function asks a net and a store, and returns what `figures` drew of it."""

from __future__ import annotations
