"""Codes and pooling of local descriptors, one descriptor, atom and cell at a time, in float64."""

from __future__ import annotations

import numpy as np


def locality_constrained(descriptor: np.ndarray, words: np.ndarray, neighbors: int) -> np.ndarray:
    """(K,) by the closed form of Wang et al. 2010."""
    near = np.argsort(((words - descriptor) ** 2).sum(1), kind="stable")[:neighbors]
    shifted = words[near] - descriptor
    covariance = shifted @ shifted.T
    covariance += 1e-4 * np.trace(covariance) * np.eye(len(near))
    weights = np.linalg.solve(covariance, np.ones(len(near)))
    code = np.zeros(len(words))
    code[near] = weights / weights.sum()
    return code


def super_vector(descriptors: np.ndarray, words: np.ndarray, constant: float) -> np.ndarray:
    """(K * (D + 1),) of the descriptors of one cell, by Zhou et al. 2010."""
    count, size = descriptors.shape
    groups = [int(np.argmin(((words - each) ** 2).sum(1))) for each in descriptors]
    pooled = np.zeros((len(words), size + 1))
    for word in range(len(words)):
        share = groups.count(word) / count if count else 0.0
        for descriptor, group in zip(descriptors, groups, strict=True):
            if group == word:
                code = np.concatenate([[constant], descriptor - words[word]])
                pooled[word] += code / np.sqrt(share) / count
    return pooled.ravel()


def max_pooled(codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(N, C, K) of dense codes (N, P, K) and cells (C, P)."""
    photos, places, words = codes.shape
    pooled = np.zeros((photos, len(cells), words))
    for photo in range(photos):
        for cell in range(len(cells)):
            for place in range(places):
                if cells[cell, place]:
                    pooled[photo, cell] = np.maximum(pooled[photo, cell], codes[photo, place])
    return pooled


def lasso_by_coordinates(descriptor: np.ndarray, atoms: np.ndarray, penalty: float) -> np.ndarray:
    """(K,) by cyclic coordinate descent until nothing moves."""
    code = np.zeros(len(atoms))
    for _ in range(10_000):
        before = code.copy()
        for atom in range(len(atoms)):
            rest = descriptor - code @ atoms + code[atom] * atoms[atom]
            slope = float(rest @ atoms[atom])
            code[atom] = np.sign(slope) * max(0.0, abs(slope) - penalty) / float(atoms[atom] @ atoms[atom])
        if np.abs(code - before).max() < 1e-12:
            break
    return code


def dictionary_step(atoms: np.ndarray, uses: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Algorithm 2 of Mairal et al. 2009: one pass over the atoms (K, D)."""
    atoms = atoms.copy()
    for atom in range(len(atoms)):
        moved = (sums[atom] - uses[atom] @ atoms) / uses[atom, atom] + atoms[atom]
        atoms[atom] = moved / max(1.0, float(np.linalg.norm(moved)))
    return atoms
