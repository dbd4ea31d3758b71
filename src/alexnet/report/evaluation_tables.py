"""One evaluation as tables: the errors, the classes they are in, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alexnet.report.tables import Table, percent, signed, with_interval

CLASSES_SHOWN = 20
CONFUSIONS_SHOWN = 10

Entry = Mapping[str, Any]
"""One entry of `RUN/evaluation.json`."""


def errors_table(entries: Sequence[Entry]) -> Table:
    """A row for each entry, errors in percent with their 95 % intervals."""
    rows = [
        (
            _name(entry),
            _data(entry),
            entry["views"],
            with_interval(entry["top1_error"], entry["top1_interval"]),
            with_interval(entry["top5_error"], entry["top5_interval"]),
            f"{entry['nll']:.4f}",
            f"{entry['images']:,}",
        )
        for entry in entries
    ]
    columns = ("run", "data", "views", "top-1 error %", "top-5 error %", "NLL", "images")
    notes = ["In brackets the 95 % interval."]
    notes += not_tested({_data(entry): len(entry.get("left_out", ())) for entry in entries})
    if any(entry["top5_error"] is None for entry in entries):
        notes.append("Top-5 errors need more than five classes.")
    return Table(columns, rows, numeric=frozenset({"NLL", "images"}), notes=notes)


BASELINES = {
    "whole_image": "whole image",
    "center_box_of_mean_size": "center box of mean size",
    "class_mean_box": "class-mean box",
}
"""What tables call the `baselines` of a localization."""


def localization_table(entry: Entry) -> Table:
    """Errors of class and box together, of the run and, with its classes, of boxes that know nothing."""
    found = entry["localization"]
    baselines = {BASELINES[key]: each for key, each in found["baselines"].items()}
    systems = {_name(entry): found, **baselines}
    rows = [
        (
            name,
            *(with_interval(each[f"{top}_error"], each[f"{top}_interval"]) for top in _LOCALIZATION),
            f"{each['images']:,}",
        )
        for name, each in systems.items()
    ]
    notes = ["Right is a box that overlaps an object of its class by half or more, of one or five answers."]
    if found["without_box"]:
        notes.append(f"{found['without_box']:,} images have no box of their class and are not scored.")
    title = f"Where objects are, on {_data(entry)}, views {entry['views']}"
    return Table(("boxes", *_LOCALIZATION.values(), "images"), rows, title, frozenset({"images"}), notes)


def detection_table(entry: Entry) -> Table:
    """Average precision of each class, and their mean."""
    found, names = entry["detection"], {each["wnid"]: each["name"] for each in entry["per_class"]}
    rows = [
        (
            *(row["wnid"], names[row["wnid"]], percent(row["average_precision"])),
            *(f"{row['objects']:,}", f"{row['detections']:,}"),
        )
        for row in found["per_class"]
        if row["average_precision"] is not None
    ]
    rows.append(("mean", "", percent(found["mean_average_precision"]), f"{found['objects']:,}", ""))
    columns = ("wnid", "class", "average precision %", "objects", "detections")
    title = f"Objects that {_name(entry)} finds on {_data(entry)}, views {detection_views(entry['views'])}"
    known = found.get("precision_of_windows")
    notes = [f"Of windows as boxes, were all named rightly: {percent(known)}."] if known is not None else []
    return Table(columns, rows, title, frozenset({"objects", "detections"}), notes)


def detection_views(views: str) -> str:
    """What a detector sees in a test of these `views`: all of a photo, at the scales that they name."""
    _, at, scales = views.partition("@")
    return f"dense{at}{scales}"


_LOCALIZATION = {
    "top1_localization": "top-1 localization error %",
    "top5_localization": "top-5 localization error %",
    "top1": "top-1 error of classes alone %",
    "top5": "top-5",
}


def growth_table(entry: Entry, name: str = "") -> Table:
    """What each further net buys: the errors of the first, the first two, ... all of an ensemble's nets.

    `name` is the ensemble's, for the title.
    """
    rows = [
        (
            str(step["nets"]),
            entry["runs"][step["nets"] - 1]["run"],
            with_interval(step["top1_error"], step["top1_interval"]),
            with_interval(step["top5_error"], step["top5_interval"]),
            signed(step["gain"], step["gain_interval"]),
            percent(step["choices_top1_error"]),
        )
        for step in entry["growth"]
    ]
    columns = (
        *("nets", "the last of them", "top-1 error %", "top-5 error %"),
        *("top-1 points it takes away", "top-1 error %, any so many"),
    )
    notes = (
        "In brackets 95 % intervals; those of differences are of the same images with and without that net.",
        "The last column is the mean over every choice of so many of these nets.",
    )
    of = f" of {name}" if name else ""
    title = f"What each further net{of} buys on {_data(entry)}, views {entry['views']}"
    return Table(columns, rows, title, frozenset({"nets", columns[-1]}), notes)


def classes_table(entry: Entry) -> Table:
    """Top-1 error of each class in percent, the worst first; of many classes only the worst."""
    classes = sorted((each for each in entry["per_class"] if each["images"]), key=_error, reverse=True)
    shown = classes[:CLASSES_SHOWN]
    rows = [(each["wnid"], each["name"], percent(_error(each)), f"{each['images']:,}") for each in shown]
    of = f"the {len(shown)} worst of {len(classes):,} classes" if len(shown) < len(classes) else "each class"
    columns = ("wnid", "class", "top-1 error %", "images")
    return Table(columns, rows, f"Errors of {of}{_of_all(entry)}", frozenset(columns[2:]))


def confusions_table(entry: Entry) -> Table:
    """The pairs that are confused most often."""
    names = {each["wnid"]: each["name"] for each in entry["per_class"]}
    rows = [
        (names[each["true"]], names[each["predicted"]], f"{each['images']:,}")
        for each in entry["confusions"][:CONFUSIONS_SHOWN]
    ]
    columns = ("true class", "taken for", "images")
    return Table(columns, rows, f"Most frequent confusions{_of_all(entry)}", frozenset({"images"}))


def averaged(entry: Entry) -> str:
    """What an entry of several runs is: `mean of 3 runs`, with weights and kind where they are not usual."""
    weights = entry.get("weights")
    kind = "logit mean" if entry.get("mean") == "logits" else "mean"
    return f"{kind} of {len(entry['runs'])} runs" + (
        f" weighted {', '.join(f'{weight:g}' for weight in weights)}" if weights else ""
    )


def not_tested(left_out: Mapping[str, int]) -> list[str]:
    """A note for each data set, by name, whose store lacks photos that could not be read."""
    return [
        f"Not tested: {count:,} of the photos of {data}, which could not be read."
        for data, count in left_out.items()
        if count
    ]


def _of_all(entry: Entry) -> str:
    """Says so where a table is of several runs together."""
    return f", of the {_name(entry)}" if len(entry["runs"]) > 1 else ""


def _data(entry: Entry) -> str:
    return f"{entry['store']} {entry['split']}"


def _name(entry: Entry) -> str:
    runs = entry["runs"]
    name = runs[0]["run"] if len(runs) == 1 else averaged(entry)
    return name if runs[0]["checkpoint"] == "last" else f"{name} ({runs[0]['checkpoint']})"


def _error(each: Mapping[str, Any]) -> float:
    return each["top1_errors"] / each["images"]
