"""A claim in a list: what it says, what its runs cost, and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet.claims.claim import Arm, Claim
from alexnet.claims.scale import EPOCHS, RECIPE_CLASSES, arm_config
from alexnet.claims.workshop import read_verdict
from alexnet.models.summary import summarise


def listed(claim: Claim, folder: Path) -> dict[str, Any]:
    """For JSON. `passes` are through all photos, `multiply_adds` of all runs, a photo."""
    found = read_verdict(folder, claim) or {}
    passes = [_passes(arm) for arm in claim.arms]
    work = [each * _multiply_adds(arm) for each, arm in zip(passes, claim.arms, strict=True)]
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "arms": [arm.name for arm in claim.arms],
        "seeds": [*claim.seeds],
        "runs": len(claim.arms) * len(claim.seeds),
        "passes": len(claim.seeds) * sum(passes),
        "multiply_adds": len(claim.seeds) * sum(work),
        "verdict": found.get("verdict", ""),
        "reason": found.get("reason", ""),
    }


def _passes(arm: Arm) -> float:
    """Through as many photos as the store has."""
    return arm.longer * EPOCHS


def _multiply_adds(arm: Arm) -> float:
    """Of training on one photo once: forward, and backward twice."""
    return 3.0 * summarise(arm_config(arm, ()), RECIPE_CLASSES).multiply_adds
