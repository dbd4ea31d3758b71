"""The paper's layers that no library has as the paper means them."""

from __future__ import annotations
