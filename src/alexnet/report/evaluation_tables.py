"""Tables of one evaluation: its errors, recall and precision by class, confusions and mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from alexnet.report.tables import ABSENT, Table, percent, rate, signed, with_interval
from alexnet.runs.metrics_log import TrainingEnd
from alexnet.runs.results import EvalResult, ViewSet
from alexnet.text import shown_path

FEW_CLASSES = 15
"""Up to this many classes, tables show all of them."""
WORST_CLASSES = 10
"""Classes shown of more than `FEW_CLASSES`."""
CONFUSIONS_SHOWN = 10
MISTAKES_SHOWN = 5
BALANCED = "Balanced error: the mean of the errors of the classes, which differ in number of images."


TRAINING_COLUMNS = ("updates", "training error %")
TRAINING_NOTE = (
    "Training error: that of the last logged updates, on augmented images and with dropout; the mean of "
    "several runs. It counts classes; for localizers it counts boxes, for detectors their best windows. "
    "Classic pipelines make no updates."
)


def training_cells(ends: Sequence[TrainingEnd | None]) -> tuple[str, str]:
    """The cells of `TRAINING_COLUMNS` for the runs of a row: the range of updates, the mean error.

    `ABSENT` if one of them is unknown, or there are none.
    """
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return ABSENT, ABSENT
    updates = sorted({end.updates for end in known})
    counts = "-".join(f"{count:,}" for count in dict.fromkeys((updates[0], updates[-1])))
    return counts, percent(fmean(end.error for end in known))


def errors_table(results: Sequence[EvalResult]) -> Table:
    """A row for each result, errors in percent with their 95 % intervals."""
    rows = [
        (
            name_of(result),
            data_of(result),
            str(result.views),
            rate(result.top1),
            rate(None if balanced_design(result) else result.balanced),
            percent(result.macro_f1),
            rate(result.top5),
            f"{result.nll:.4f}",
            f"{result.images:,}",
        )
        for result in results
    ]
    columns = (
        *("run", "data", "views", "top-1 error %", "balanced error %", "macro F1 %", "top-5 error %"),
        *("NLL", "images"),
    )
    notes = [
        "95 % intervals in parentheses. NLL: mean negative log-likelihood of the true class; lower is better."
    ]
    if not all(map(balanced_design, results)):
        notes.append(BALANCED)
    notes += unreadable_notes({data_of(result): len(result.left_out) for result in results})
    numeric = frozenset({"macro F1 %", "NLL", "images"})
    return Table(columns, rows, numeric=numeric, notes=notes).without_empty_columns()


def balanced_design(result: EvalResult) -> bool:
    """Whether all classes have equally many images, so that the balanced error is the top-1 error."""
    return len({each.images for each in result.per_class if each.images}) == 1


BASELINE_TITLES = {
    "whole_image": "whole image",
    "center_box_of_mean_size": "center box of mean size",
    "class_mean_box": "class-mean box",
}
"""Names in tables of the `baselines` of a localization."""


def localization_table(result: EvalResult) -> Table:
    """Errors of class and box together: of the model, and of baseline boxes with the same classes."""
    assert result.localization is not None
    found = result.localization
    systems = {name_of(result): found} | {BASELINE_TITLES[key]: each for key, each in found.baselines.items()}
    rows = [
        (
            name,
            rate(each.rate(each.top1_localization_errors)),
            rate(each.rate(each.top5_localization_errors)),
            rate(each.rate(each.top1_errors)),
            rate(each.rate(each.top5_errors)),
            f"{each.images:,}",
        )
        for name, each in systems.items()
    ]
    columns = (
        *("boxes", "top-1 localization error %", "top-5 localization error %"),
        *("top-1 error of classes alone %", "top-5 error of classes alone %", "images"),
    )
    notes = [
        "A box is correct if its IoU with a box of its class is at least 0.5; best of one or five boxes."
    ]
    if found.without_box:
        notes.append(f"{found.without_box:,} images have no box of their class and are not scored.")
    title = f"Localization on {data_of(result)}, views {result.views}"
    return Table(columns, rows, title, frozenset({"images"}), notes).without_empty_columns()


def measures_table(result: EvalResult) -> Table:
    """The numbers that the model's task added, by name."""
    rows = [(name, f"{value:.6g}") for name, value in result.measures.items()]
    title = f"Measures of {name_of(result)} on {data_of(result)}, views {result.views}"
    notes = unreadable_notes({data_of(result): len(result.left_out)})
    return Table(("measure", "value"), rows, title, frozenset({"value"}), notes)


def detection_table(result: EvalResult) -> Table:
    """Average precision of each class, and their mean."""
    assert result.detection is not None
    found, names = result.detection, names_by_wnid(result)
    rows = [
        (
            *(row.wnid, names[row.wnid], percent(row.average_precision)),
            *(f"{row.objects:,}", f"{row.detections:,}"),
        )
        for row in found.per_class
        if row.average_precision is not None
    ]
    rows.append(("mean", "", percent(found.mean_average_precision), f"{found.objects:,}", ""))
    columns = ("wnid", "class", "average precision %", "objects", "detections")
    title = f"Detection by {name_of(result)} on {data_of(result)}, views {detection_views(result.views)}"
    windows = found.precision_of_windows
    notes = (
        [f"Sliding windows with perfect labels would reach {percent(windows)} %."]
        if windows is not None
        else []
    )
    return _without_repeated_wnids(Table(columns, rows, title, frozenset({"objects", "detections"}), notes))


def detection_views(views: ViewSet) -> str:
    """The views of a detector in a test with these `views`: the whole photo, at the same scales."""
    return str(replace(views, name="dense"))


def growth_table(result: EvalResult, name: str = "") -> Table:
    """Errors of the first, the first two, ... all models of an ensemble; its `name` is for the title."""
    rows = [
        (
            str(step.nets),
            result.runs[step.nets - 1].run,
            with_interval(step.top1_error, step.top1_interval),
            with_interval(step.top5_error, step.top5_interval),
            signed(step.gain, step.gain_interval),
            percent(step.choices_top1_error),
        )
        for step in result.growth
    ]
    columns = (
        *("models", "last added", "top-1 error %", "top-5 error %"),
        *("top-1 reduction (points)", "top-1 error %, mean over all subsets of this size"),
    )
    notes = (
        "95 % intervals in parentheses; those of reductions are paired: over the same images, with and "
        "without the last model.",
    )
    of = f" in {name}" if name else ""
    title = f"Gain per additional model{of} on {data_of(result)}, views {result.views}"
    table = Table(columns, rows, title, frozenset({"models", columns[-1]}), notes)
    return table.without_empty_columns()


def classes_table(result: EvalResult, all_classes: bool = False) -> Table:
    """Recall and precision of each class in percent, the lowest recall first; of many classes only the worst,
    unless `all_classes`.
    """
    classes = sorted((each for each in result.per_class if each.images), key=lambda each: each.recall or 0.0)
    shown = classes if all_classes or len(classes) <= FEW_CLASSES else classes[:WORST_CLASSES]
    rows = [
        (
            *(each.wnid, each.name, percent(each.recall), percent(each.precision), percent(each.f1)),
            f"{each.images:,}",
        )
        for each in shown
    ]
    of = f"the {len(shown)} worst of {len(classes):,} classes" if len(shown) < len(classes) else "each class"
    columns = ("wnid", "class", "recall %", "precision %", "F1 %", "images")
    title = f"Recall and precision of {of}{_of_all(result)}"
    notes = ["All classes: alexnet evaluate ... --per-class"] if len(shown) < len(classes) else []
    table = Table(columns, rows, title, frozenset(columns[2:]), notes)
    return _without_repeated_wnids(table.without_empty_columns())


def confusions_table(result: EvalResult) -> Table:
    """The most frequent confusions."""
    names = names_by_wnid(result)
    rows = [
        (names[each.true], names[each.predicted], f"{each.images:,}")
        for each in result.confusions[:CONFUSIONS_SHOWN]
    ]
    columns = ("true class", "predicted class", "images")
    return Table(columns, rows, f"Most frequent confusions{_of_all(result)}", frozenset({"images"}))


def mistakes_table(result: EvalResult, most: int = MISTAKES_SHOWN) -> Table:
    """The images whose wrong class has the highest probability: wrong labels, or the hardest photos."""
    names, shown = names_by_wnid(result), result.mistakes[:most]
    rows = [
        (
            *(shown_path(each.file or each.key), names[each.true], names[each.predicted]),
            *(percent(each.probability), percent(each.true_probability)),
        )
        for each in shown
    ]
    columns = (
        *("photo", "true class", "predicted class", "probability %"),
        "probability of the true class %",
    )
    title = f"Most confident mistakes, {len(shown)} of {result.top1_errors:,}{_of_all(result)}"
    return Table(columns, rows, title, frozenset(columns[3:]))


def name_of(result: EvalResult) -> str:
    """The run, or how many were averaged; with the checkpoint unless it is the last."""
    name = result.runs[0].run if len(result.runs) == 1 else averaged(result)
    return name if result.runs[0].checkpoint == "last" else f"{name} ({result.runs[0].checkpoint})"


def averaged(result: EvalResult) -> str:
    """Description of the result of several runs: `mean of 3 runs`, with weights and kind of mean unless
    default.
    """
    kind = "logit mean" if result.mean == "logits" else "mean"
    weights = result.weights
    return f"{kind} of {len(result.runs)} runs" + (
        f" weighted {', '.join(f'{weight:g}' for weight in weights)}" if weights else ""
    )


def unreadable_notes(left_out: Mapping[str, int]) -> list[str]:
    """A note for each data set, by name, whose store lacks photos that could not be read."""
    return [
        f"Not evaluated: {count:,} of the photos of {data}, which could not be read."
        for data, count in left_out.items()
        if count
    ]


def data_of(result: EvalResult) -> str:
    """Store and split: `imagenette-128 val`."""
    return f"{result.store} {result.split}"


def names_by_wnid(result: EvalResult) -> dict[str, str]:
    """Names by WNID."""
    return {each.wnid: each.name for each in result.per_class}


def _of_all(result: EvalResult) -> str:
    """Addition to the title of a table of several runs together."""
    return f", {name_of(result)}" if len(result.runs) > 1 else ""


def _without_repeated_wnids(table: Table) -> Table:
    """Without the first column, the WNIDs, if all equal the names beside them; else with a note on them."""
    if any(row[0] != row[1] for row in table.rows if row[1]):
        return replace(table, notes=[*table.notes, WNID])
    rows = [row[1:] if row[1] else [row[0], *row[2:]] for row in table.rows]
    return replace(table, columns=table.columns[1:], rows=rows)


WNID = "wnid: the class's identifier, in ImageNet its number in WordNet."
