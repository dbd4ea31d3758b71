"""What codebooks do alike with vectors: draw some, bring them to length one, find the nearest words."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(vectors: Tensor, count: int, randomness: torch.Generator) -> Tensor:
    """(count, D) different rows; those that are zero only where there are no others."""
    order = torch.randperm(len(vectors), generator=randomness).to(vectors.device)
    empty = (vectors[order] == 0).all(1)
    return vectors[torch.cat([order[~empty], order[empty]])[:count]].clone()


def unit(vectors: Tensor) -> Tensor:
    """Rows divided by their length; rows of zeros stay."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    return vectors / torch.where(lengths > 0, lengths, 1)


def nearest(vectors: Tensor, words: Tensor, count: int) -> Tensor:
    """(N, count) numbers of the nearest of `words` (K, D), nearest first."""
    # Half the squared distance, less what is the same for all words.
    closeness = torch.addmm(-words.square().sum(1) / 2, vectors, words.T)
    return closeness.argmax(1, keepdim=True) if count == 1 else closeness.topk(count, 1).indices
