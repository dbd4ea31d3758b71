"""Photos that look alike though their pixels differ: other sizes, qualities or formats of the same picture.

Found by the perceptual hash of the package ImageHash, 64 bits from the lowest frequencies of a photo.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from alexnet.data.image_reader import read_photo
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError

MAX_BITS = 4
"""Bits in which the hashes of near duplicates differ at most; unrelated photos differ in about 32."""
_HASH_BITS = 64


def refuse_without_imagehash() -> None:
    """CommandError with the package to install if ImageHash is missing."""
    if importlib.util.find_spec("imagehash") is None:
        raise CommandError("--near-duplicates needs ImageHash: type pip install 'alexnet[duplicates]'")


def near_duplicates(
    store: Store, progress: Callable[[int], object] = lambda count: None
) -> list[list[tuple[str, int]]]:
    """Sets of (split, index) of images that look alike, copies included, in the order of the store.

    Images are in one set if a chain of near duplicates connects them. Images of one color have no
    frequencies to compare and are left out. Reads every image once; `progress(count)` is called as images are
    finished. CommandError if ImageHash is missing.
    """
    refuse_without_imagehash()
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    hashes = np.zeros(len(places), np.uint64)
    varied = np.zeros(len(places), bool)
    for number, (name, index) in enumerate(places):
        hashes[number], varied[number] = _hash(store.split(name), index)
        progress(1)
    chosen = np.flatnonzero(varied)
    pairs = similar_pairs(hashes[chosen])
    links = coo_matrix((np.ones(len(pairs)), pairs.T), (len(chosen), len(chosen)))
    _, component = connected_components(links, directed=False)
    by_component = np.argsort(component, kind="stable")
    sets = np.split(by_component, np.cumsum(np.bincount(component))[:-1]) if len(chosen) else []
    found = [[places[chosen[member]] for member in members.tolist()] for members in sets if len(members) > 1]
    order = {place: number for number, place in enumerate(places)}
    return sorted(found, key=lambda members: order[members[0]])


def similar_pairs(hashes: NDArray[np.uint64], bits: int = MAX_BITS) -> NDArray[np.int64]:
    """(P, 2) the pairs i < j of hashes (N,) that differ in at most `bits` bits, ascending.

    Two such hashes agree in at least one of `bits` + 1 bands, so only those that share a band are compared.
    """
    edges = np.linspace(0, _HASH_BITS, bits + 2).astype(int)
    found = [np.empty((0, 2), np.int64)]
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        band = (hashes >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1)
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        bounds = np.r_[0, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(ordered)]
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            members = order[first:last]
            for place in range(len(members) - 1):
                apart = np.bitwise_count(hashes[members[place]] ^ hashes[members[place + 1 :]])
                near = members[place + 1 :][apart <= bits]
                found.append(np.stack([np.full(len(near), members[place]), near], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _hash(split: Split, index: int) -> tuple[int, bool]:
    """The hash of an image, and whether it has more than one color."""
    import imagehash

    photo = read_photo(split, index)
    image = Image.fromarray(photo[..., 0] if photo.shape[2] == 1 else photo)
    bits = imagehash.phash(image).hash.ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2), bool((photo != photo[0, 0]).any())
