"""Encoders by name. A new one is a file of its own, a line here and its name in `classic_config.Channel`."""

from __future__ import annotations

from collections.abc import Callable

from alexnet.classic.encoder import Encoder
from alexnet.classic.fisher_vector import FisherEncoder
from alexnet.classic.sparse_encoder import LassoEncoder, LlcEncoder, PursuitEncoder
from alexnet.classic.super_vector_encoder import SuperVectorEncoder

ENCODERS: dict[str, Callable[[int, int], Encoder]] = {
    "fisher": FisherEncoder,
    "llc": LlcEncoder,
    "super-vector": SuperVectorEncoder,
    "l1": LassoEncoder,
    "omp": PursuitEncoder,
}
"""Each from the number of words and the dimension of the descriptors."""
