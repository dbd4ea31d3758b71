"""Layers of the papers that no library has in exactly this form."""

from __future__ import annotations
