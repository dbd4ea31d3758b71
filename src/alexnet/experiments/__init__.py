"""The lecture's claims, each with the runs that test it, what they are compared by and what would hold."""

from __future__ import annotations
