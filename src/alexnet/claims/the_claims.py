"""All claims of the lecture, in its order."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from alexnet.claims.claim import Claim
from alexnet.claims.log_claims import AUGMENTATION, BIAS_ONE, OVERLAP, RELU, SCHEDULES, TOWERS_AND_DEPTH
from alexnet.claims.net_claims import AVERAGING, DROPOUT, FEATURES_TRAVEL, LRN, MORE_DATA
from alexnet.errors import CommandError

CLAIMS = (
    *(RELU, LRN, OVERLAP, DROPOUT, BIAS_ONE, SCHEDULES, AUGMENTATION, AVERAGING, MORE_DATA),
    *(TOWERS_AND_DEPTH, FEATURES_TRAVEL),
)
ALL = "all"


def find(words: Sequence[str]) -> list[Claim]:
    """The claims of those ids in the lecture's order, all for `all`; CommandError names the nearest."""
    ids = [claim.id for claim in CLAIMS]
    for word in words:
        if word not in (*ids, ALL):
            near = difflib.get_close_matches(word.lower(), ids, n=1, cutoff=0.0)
            raise CommandError(f"no claim {word!r}; the nearest is {near[0]!r} (`alexnet claims` lists them)")
    return [claim for claim in CLAIMS if claim.id in words or ALL in words]
