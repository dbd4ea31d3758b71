"""Presentation of claims: the README and figure of each, and tables of the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from alexnet.experiments.claim_results import (
    CLAIM_FILE,
    ClaimResult,
    ComparisonResult,
    ValidationResult,
    read_claim,
    write_claim,
)
from alexnet.experiments.claims import CLAIMS, Claim
from alexnet.experiments.photo_errors import PHOTOS_FILE
from alexnet.io import write_whole
from alexnet.report.evaluation_tables import TRAINING_COLUMNS
from alexnet.report.plots.claim import Curve, draw_claim
from alexnet.report.plots.output import save
from alexnet.report.tables import ABSENT, Table, percent

CLAIMS_FOLDER = "claims"
NONE = ("not recorded yet",)
FIGURES = ("figure.png", "figure.svg")
MISSED_BY_CHANCE = 0.05
_FILES = {
    CLAIM_FILE: "bands, arms with all their settings, numbers of every run, verdicts, environment",
    FIGURES[0]: "error during training for each arm; each comparison's numbers, interval and band",
    FIGURES[1]: "the same",
}
_COLUMNS = (
    *("what is compared", "held if", "the source reports", "found (95 % interval)", "over"),
    *(*TRAINING_COLUMNS, "verdict", "why"),
)
_OF_PHOTOS = "for each run, the photos it misclassified: 1, and -1 where the error is subtracted"


def keep(folder: Path, claim: Claim, result: ClaimResult) -> None:
    """Writes the directory of a claim: figures, README and, last, `claim.json`."""
    for name in FIGURES:
        save(figure(claim, result), folder / name)
    write_whole(folder / "README.md", readme(result).encode())
    write_claim(folder, result)


def figure(claim: Claim, result: ClaimResult) -> Figure:
    """Errors during training of each arm, and each comparison's numbers, interval and band."""
    curves: list[Curve] = []
    for run in result.runs:
        epochs = result.arms[run.arm].schedule.epochs
        errors = [getattr(test, claim.curve) for test in run.tests]
        if not run.diverged:
            shares = [test.epoch / epochs for test in run.tests]
            curves.append(Curve(run.arm, [0.0, *shares], [float("nan"), *errors]))
    photos = f"{result.data.store}, {result.data.photos['val']:,} validation photos"
    title = f"{result.id}: {result.verdict} \N{EN DASH} {photos}"
    error = "training error" if claim.curve == "training_error" else "validation error"
    return draw_claim(result.comparisons, curves, error, title)


def readme(result: ClaimResult) -> str:
    """The contents of `claim.json` as Markdown."""
    rows = "\n".join(
        f"| {each.title} | {each.band.words(each.unit)} | {each.paper or '-'} | {each.found or '-'} | "
        f"{each.sample} | {' | '.join(_trained(result, each))} | {each.verdict} | {each.reason or '-'} |"
        for each in result.comparisons
    )
    notes = "\n\n".join([*_interval_notes(result.comparisons), TRAINED_NOTE])
    remarks = "".join(f"- {remark}\n" for remark in result.remarks)
    listed = _FILES | ({PHOTOS_FILE: _OF_PHOTOS} if any(each.photos for each in result.comparisons) else {})
    files = "\n".join(f"| `{name}` | {what} |" for name, what in listed.items())
    data, photos, lines = result.data, result.data.photos, "\n".join(result.commands)
    return f"""# {result.id}

{result.statement}

Source: {result.source}. Verdict: **{result.verdict}**{f" ({result.reason})" if result.reason else ""}.

![Each arm's error, and each comparison with its band](figure.png)

| {" | ".join(_COLUMNS)} |
|{"---|" * len(_COLUMNS)}
{rows}

{notes}

{remarks}
The bands were fixed in the code before any run. On {data.store}:
{photos["train"]:,} training{_used(result)} and {photos["val"]:,} validation photos of {data.classes}
classes, of {data.side} pixels{_kind(result)}. Made by

```
{lines}
```

| file | what |
|---|---|
{files}
"""


def _used(result: ClaimResult) -> str:
    """The number of training photos that the arms use; empty if all arms use all photos."""
    counts = sorted({arm.data.max_images for arm in result.arms.values()})
    if not any(counts):
        return ""
    words = [f"{count:,}" for count in counts if count] + ["all"] * (0 in counts)
    return f" (models are trained on {' or '.join(words)} of them)"


def _kind(result: ClaimResult) -> str:
    """The kind of images of all arms; empty for color photos that are mirrored."""
    kinds = [arm.data for arm in result.arms.values()]
    gray = ["gray"] if kinds and all(data.channels == 1 for data in kinds) else []
    plain = ["never mirrored"] if kinds and not any(data.mirror for data in kinds) else []
    return "".join(f", {words}" for words in (*gray, *plain))


def claims(results: Path, only: str = "") -> Table:
    """A row for each comparison of each recorded claim, or of one: band, result, verdict.

    Notes on the whole table are left out for one claim.
    """
    found = [each for each in recorded(results, only) if only in ("", each[1].id)]
    rows = [
        (
            _link(folder, f"`{result.id}`"),
            each.title,
            each.band.words(each.unit),
            each.paper or ABSENT,
            each.found or ABSENT,
            each.sample,
            *_trained(result, each),
            _cost(result, (*each.first, *each.second)),
            result.data.title,
            f"{each.verdict}: {each.reason}" if each.reason else each.verdict,
        )
        for folder, result in found
        for each in result.comparisons
    ]
    columns = (
        "claim",
        "what is compared",
        "held if",
        "the source reports",
        "found (95 % interval)",
        "over",
        *TRAINING_COLUMNS,
        "minutes of training",
        "photos",
        "verdict",
    )
    intervals = _interval_notes([each for _, result in found for each in result.comparisons])
    notes = [*intervals, TRAINED_NOTE, *_without_result(found)]
    return Table(columns, rows or [NONE + (ABSENT,) * 10], notes=[] if only else notes)


TRAINED_NOTE = (
    "Updates and training errors are those of the compared models, in their order, at the end of training: "
    "means over seeds, with the center crop, without augmentation and dropout. A model that was trained at "
    "several rates has a number for each. The model that is called common is the one that all others differ "
    "from."
)


def _trained(result: ClaimResult, comparison: ComparisonResult) -> tuple[str, str]:
    """The range of updates, and the training error of each arm in percent; absent without runs."""
    last: dict[str, list[ValidationResult]] = {}
    for run in result.runs:
        if run.tests:
            last.setdefault(run.arm, []).append(run.tests[-1])
    arms = [last[arm] for arm in (*comparison.first, *comparison.second) if arm in last]
    if not arms:
        return ABSENT, ABSENT
    updates = sorted({test.step for tests in arms for test in tests})
    counts = "-".join(f"{count:,}" for count in dict.fromkeys((updates[0], updates[-1])))
    return counts, " / ".join(percent(fmean(test.training_error for test in tests)) for tests in arms)


def _cost(result: ClaimResult, arms: Sequence[str]) -> str:
    """Minutes in which the runs of these arms were trained, all seeds together, and the device."""
    seconds = sum(run.seconds for run in result.runs if run.arm in arms)
    return f"{seconds / 60:,.1f}, {' and '.join(result.environment.device)}" if seconds else ABSENT


def _interval_notes(comparisons: Sequence[ComparisonResult]) -> list[str]:
    """How many intervals there are, how many miss by chance, and how many leave out the photos."""
    intervals = [each for each in comparisons if each.interval is not None]
    if not intervals:
        return []
    alone = sum(each.over == "seeds" and not each.photos and each.unit == "points" for each in intervals)
    missed = f"{MISSED_BY_CHANCE * len(intervals):.1f}"
    notes = [
        f"Intervals: {len(intervals)}, each of 95 %. About {missed} of them are expected to miss the true "
        "value by chance alone."
    ]
    if alone:
        notes.append(
            "Intervals of errors that cover the seeds alone, and not which photos the errors were measured "
            f"on: {alone}. They are too narrow for a statement about other photos."
        )
    return notes


def claims_in_short(results: Path) -> Table:
    """A row for each recorded claim: its statement, and its verdict on each kind of photos."""
    found = recorded(results)
    verdicts: dict[tuple[str, str], list[str]] = {}
    for folder, result in found:
        where = f"{_link(folder, result.data.title)}: {result.verdict}, {_how_many_held(result)}"
        verdicts.setdefault((result.statement, result.source), []).append(where)
    rows = [(*what, "; ".join(where)) for what, where in verdicts.items()]
    columns = ("claim", "source", "photos: verdict, comparisons that held")
    return Table(columns, rows or [NONE + (ABSENT,) * 2], notes=_without_result(found))


def recorded(results: Path, start: str = "") -> list[tuple[str, ClaimResult]]:
    """The recorded claims in the lecture's order, each with the name of its directory, which begins with
    `start`.
    """
    order = {claim.id: place for place, claim in enumerate(CLAIMS)}
    folders = sorted(file.parent for file in (results / CLAIMS_FOLDER).glob(f"{start}*/{CLAIM_FILE}"))
    found = [(folder.name, result) for folder in folders if (result := read_claim(folder)) is not None]
    return sorted(found, key=lambda each: order.get(each[1].id, len(order)))


def _link(folder: str, words: str) -> str:
    return f"[{words}](results/{CLAIMS_FOLDER}/{folder})"


def _without_result(found: Sequence[tuple[str, ClaimResult]]) -> list[str]:
    """A note with the claims without a recorded result; empty if there are none."""
    there = {result.id for _, result in found}
    missing = [f"`{claim.id}`" for claim in CLAIMS if claim.id not in there]
    return [f"No result is recorded yet for {', '.join(missing)}."] if missing else []


def _how_many_held(result: ClaimResult) -> str:
    verdicts = [each.verdict for each in result.comparisons if each.decides]
    return f"{verdicts.count('held')} of {len(verdicts)}"
