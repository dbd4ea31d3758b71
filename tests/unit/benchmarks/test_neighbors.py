from __future__ import annotations

import numpy as np
import pytest

from alexnet.analysis.neighbors import NearestVectors
from benchmarks.neighbors import measure, recall, synthetic_features


def test_recall_counts_what_was_found_in_any_order() -> None:
    found, wanted = ([[3, 1, 9], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]])
    both = [NearestVectors(np.array(each), np.zeros((2, 3))) for each in (found, wanted)]
    assert recall(*both) == pytest.approx(5 / 6)


def test_rates_and_recall_are_measured() -> None:
    rows = measure(images=300)
    assert [row.unit for row in rows] == ["queries/s", "queries/s", "of 1"]
    assert all(row.value > 0 for row in rows)
    assert rows[-1].value >= 0.95


def test_another_seed_gives_other_features() -> None:
    assert not np.array_equal(synthetic_features(3, 0), synthetic_features(3, 1))
    np.testing.assert_array_equal(synthetic_features(3, 0), synthetic_features(3, 0))
