"""Trained nets to and from other programs: exported files, imported weights, those that were published."""

from __future__ import annotations
