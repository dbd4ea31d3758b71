"""A claim in a list: what it says, what its runs cost, and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet.claims.claim import Claim
from alexnet.claims.scale import EPOCHS
from alexnet.claims.workshop import read_verdict


def listed(claim: Claim, folder: Path) -> dict[str, Any]:
    """For JSON. `passes` are those of all its runs through as many photos as the store has, by default."""
    found = read_verdict(folder, claim) or {}
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "arms": [arm.name for arm in claim.arms],
        "seeds": [*claim.seeds],
        "runs": len(claim.arms) * len(claim.seeds),
        "passes": len(claim.seeds) * sum(arm.longer * EPOCHS for arm in claim.arms),
        "verdict": found.get("verdict", ""),
        "reason": found.get("reason", ""),
    }
