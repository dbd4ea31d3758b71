"""Shared fixtures: where the reference twins live, and the real images where they are present."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_REAL_IMAGES = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped where it is absent."""
    if not _REAL_IMAGES.is_dir():
        pytest.skip("the real images (../shared/data) are not here")
    return _REAL_IMAGES
