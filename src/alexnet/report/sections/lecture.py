"""The figures of the lecture that are not about one run: normalization, the contest, dropout as averaging."""

from __future__ import annotations

import numpy as np

from alexnet.analysis.lateral_inhibition import NEIGHBORS, Values, derivatives, peak, responses_alone
from alexnet.experiments.model_averaging import ModelAveraging
from alexnet.models.layers.local_response_norm import LocalResponseNorm
from alexnet.published.imagenet import WINNERS
from alexnet.report.plots.contest import draw_contest
from alexnet.report.plots.model_averaging import draw_model_averaging
from alexnet.report.plots.response_norm import Inhibition, Response, draw_response_norm
from alexnet.report.sections.subjects import Drawn
from alexnet.text import percentage

HIGHEST_ACTIVITY, ACTIVITY = 1000, 100.0
"""The activities of a map that is active alone, up to this one; that of all maps together."""


def response_norm() -> Drawn:
    """The bound on a map's response, and the inhibition by its neighbors, of our own layer."""
    activities = np.linspace(0, HIGHEST_ACTIVITY, 1001)
    norms = {
        "the paper's formula: alpha 1e-4": LocalResponseNorm(alpha_convention="sum"),
        "as run in 2012: alpha 1e-4 / 5": LocalResponseNorm(),
    }
    peaks = {name: peak(norm.params) for name, norm in norms.items()}
    curves = [
        Response(name, responses_alone(norm, activities), (peaks[name].activity, peaks[name].response))
        for name, norm in norms.items()
    ]
    curves.append(Response("the second formula: a / (2 + 1e-4 a)", activities / (2 + 1e-4 * activities)))
    every = np.full(NEIGHBORS, ACTIVITY)
    normalized = {
        "n = 5, paper: 5 maps": LocalResponseNorm(5, alpha_convention="sum"),
        "n = 2, paper: 3 maps": LocalResponseNorm(2, alpha_convention="sum"),
        "n = 2, source: 2 maps": LocalResponseNorm(2),
    }
    inhibitions = [Inhibition(name, derivatives(norm, every)) for name, norm in normalized.items()]
    figure = draw_response_norm(
        activities, curves, inhibitions, "Local response normalization: bound and lateral inhibition"
    )
    listed = "; ".join(
        f"{name}: at most {found.response:.1f}, at {found.activity:.0f}" for name, found in peaks.items()
    )
    least = "; ".join(f"{each.name}: {_of_others(each.derivatives):.4f}" for each in inhibitions)
    return Drawn(
        figure,
        f"Response of a map that is active alone. {listed}. Change of a response by a neighboring map's "
        f"activity where all activities are {ACTIVITY:g}, most negative: {least}.",
    )


def _of_others(matrix: Values) -> float:
    """The most negative derivative by another map's activity."""
    return float(matrix[~np.eye(len(matrix), dtype=bool)].min())


def contest() -> Drawn:
    """The lowest errors of ILSVRC's classification task by year."""
    figure = draw_contest(WINNERS, "ILSVRC, classification: the lowest top-5 error of each year")
    listed = "; ".join(f"{each.year} {each.team} {percentage(each.top5)}" for each in WINNERS)
    return Drawn(figure, f"The lowest top-5 errors of ILSVRC's classification task: {listed}.")


def model_averaging(found: ModelAveraging) -> Drawn:
    """The mean over random masks beside scaled units."""
    layers = " and ".join(found.layers)
    title = (
        f"Dropout of {found.probability:g} after {layers} as model averaging: {found.recipe} on "
        f"{found.store} {found.split}, {found.photos:,} photos"
    )
    figure = draw_model_averaging(
        found.errors, found.nll, found.distances, found.scaled_error, found.scaled_nll, title
    )
    masks = len(found.errors[0])
    ends = [
        f"{count} mask{'s' * (count != 1)}: error {percentage(_mean(found.errors, count))}, "
        f"negative log-likelihood {_mean(found.nll, count):.3f}"
        for count in dict.fromkeys((1, min(10, masks), masks))
    ]
    scaled = (
        f"all units, scaled: error {percentage(found.scaled_error)}, "
        f"negative log-likelihood {found.scaled_nll:.3f}"
    )
    return Drawn(figure, f"{title}. {'; '.join(ends)}; {scaled}.")


def _mean(curves: tuple[tuple[float, ...], ...], count: int) -> float:
    """The mean over seeds at a number of masks."""
    return float(np.mean([curve[count - 1] for curve in curves]))
