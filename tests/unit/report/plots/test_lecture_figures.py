"""The lecture's figures: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.published.alexnet import TABLE_1, TABLE_2
from alexnet.published.imagenet import WINNERS
from alexnet.published.rows import TEST
from alexnet.published.vgg import TABLE_7
from alexnet.report.plots.contest import draw_contest
from alexnet.report.plots.model_averaging import draw_model_averaging
from alexnet.report.plots.response_norm import Inhibition, Response, draw_response_norm


def test_a_years_bar_is_as_high_as_its_error() -> None:
    (axes,) = draw_contest(WINNERS, "a title").axes
    heights = [patch.get_height() for patch in axes.patches]
    assert heights[len(WINNERS) :] == [each.top5 for each in WINNERS]
    assert heights[: len(WINNERS)] == [each.without_outside_data for each in WINNERS]
    labels = [text.get_text() for text in axes.texts]
    assert labels[2:4] == ["15.3 (16.4)", "11.2 (11.7)"] and labels[0] == "28.2"


def test_winners_agree_with_the_tables_that_are_quoted_elsewhere() -> None:
    errors = {each.year: each for each in WINNERS}
    assert [*errors] == [*range(2010, 2018)]
    assert errors[2010].top5 == next(row.top5 for row in TABLE_1 if row.system == "sparse coding")
    of_2012 = {row.system: row.top5 for row in TABLE_2 if row.data == TEST}
    assert errors[2012].top5 == of_2012["7 AlexNets, two of them pre-trained"]
    assert errors[2012].own_data == of_2012["5 AlexNets"]
    later = {row.system: row.top5 for row in TABLE_7 if row.data == TEST}
    assert errors[2013].own_data == later["several nets of Clarifai"]
    assert errors[2014].top5 == later["7 GoogLeNets"]


def test_responses_and_inhibition_have_one_scale() -> None:
    activities = np.linspace(0, 10, 11)
    curves = [Response("bounded", activities / 2, (4.0, 2.0)), Response("free", activities * 3)]
    matrices = [Inhibition(name, np.full((3, 3), low)) for name, low in (("a", -0.5), ("b", -0.25))]
    responses, *panels = draw_response_norm(activities, curves, matrices).axes
    assert responses.get_ylim()[1] == pytest.approx(3.2)
    assert [text.get_text() for text in responses.texts] == ["2.0 at 4"]
    images = [axes.images[0] for axes in panels[:2]]
    assert {image.get_clim() for image in images} == {(-0.5, 0.0)}
    assert np.isnan(np.ma.filled(images[0].get_array(), np.nan)[1, 1])


def test_masks_have_a_line_for_each_seed_and_their_mean() -> None:
    errors = [[0.4, 0.3, 0.2], [0.2, 0.3, 0.4]]
    figure = draw_model_averaging(errors, errors, errors, 0.25, 1.5)
    first, second, third = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [4, 4, 3]
    assert list(first.lines[2].get_ydata()) == pytest.approx([0.3, 0.3, 0.3])
    assert list(second.lines[3].get_ydata()) == [1.5, 1.5] and third.get_ylim()[0] == 0
