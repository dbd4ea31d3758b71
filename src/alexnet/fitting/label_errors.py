"""Photos whose labels are probably wrong, by models that were not trained on them."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.data.store import Store
from alexnet.fitting.record import Suspect
from alexnet.models.bundle import ModelBundle
from alexnet.training.last_layer import FOLDS, last_layer_inputs

MOST_PHOTOS = 10_000
"""With more photos the logistic regressions take many minutes."""
MOST_SUSPECTS = 100
CERTAIN = 0.8
"""A prediction with this probability is suspicious however sure the model is of other photos."""


def find_suspects(bundle: ModelBundle, store: Store, strength: float, seed: int) -> tuple[Suspect, ...]:
    """Photos of any split whose label is probably wrong, the most suspicious first.

    Each photo is predicted by a logistic regression on the network's features of other photos; `strength` is
    scikit-learn's `C`. It is meant for up to `MOST_PHOTOS` photos.
    """
    places = [(name, index) for name in store.splits for index in range(len(store.split(name)))]
    features = np.concatenate([last_layer_inputs(bundle, store.split(name))[0] for name in store.splits])
    labels = np.concatenate([store.split(name).labels for name in store.splits]).astype(np.int64)
    probabilities = out_of_fold_probabilities(features, labels, len(store.classes), strength, seed)
    names = [each.name for each in store.classes]
    found: list[Suspect] = []
    for number in suspicious(probabilities, labels)[:MOST_SUSPECTS]:
        (split, index), row, label = places[number], probabilities[number], labels[number]
        predicted = int(row.argmax())
        key = store.split(split).key(index)
        found.append(
            Suspect(split, key, names[label], names[predicted], float(row[predicted]), float(row[label]))
        )
    return tuple(found)


def out_of_fold_probabilities(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int, strength: float, seed: int
) -> npt.NDArray[np.float64]:
    """(N, K) probabilities of each photo by a logistic regression on the features (N, D) of other photos."""
    found = np.zeros((len(labels), classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The least populated class")
        for kept, held_out in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
            model.fit(features[kept], labels[kept])
            found[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return found


def suspicious(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> list[int]:
    """Numbers of the photos that look more like another class than most photos of that class do.

    A class's threshold is the mean probability of the class over its own photos, at most `CERTAIN`. A photo
    is suspicious if the probability of another class, its most probable one, reaches that class's threshold;
    those with the greatest difference to the probability of their own class come first. Source: Northcutt,
    Jiang, Chuang 2021, "Confident Learning", sections 3.1 and 3.2, ranked by normalized margin; there the
    threshold has no limit, and half of the errors in classes that are easy to distinguish do not reach it.
    """
    own = probabilities[np.arange(len(labels)), labels]
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.minimum(np.bincount(labels, own, minlength=classes) / np.maximum(counts, 1), CERTAIN)
    predicted = probabilities.argmax(1)
    best = probabilities.max(1)
    found = np.flatnonzero((predicted != labels) & (best >= thresholds[predicted]))
    return found[np.argsort(own[found] - best[found], kind="stable")].tolist()
