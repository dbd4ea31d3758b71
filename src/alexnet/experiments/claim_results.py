"""The README of one judged claim: what was asked, what was found, how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alexnet.config import to_dict
from alexnet.data.store import Store
from alexnet.experiments.claims import ArmRun, Band, Claim, Value
from alexnet.experiments.experiment_dir import VERDICT, ExperimentDir
from alexnet.experiments.verdict import Finding, findings, verdict
from alexnet.io import write_json, write_whole
from alexnet.report.claims import found_words
from alexnet.report.plots.claim import Curve, Shown, draw_claim
from alexnet.report.plots.output import save
from alexnet.runs.environment import processor

_FILES = {
    "claim.json": "bands, arms with all their settings, numbers of every run, verdicts, environment",
    "figure.png": "error over the run for each arm; each comparison's numbers, interval and band",
    "figure.svg": "the same",
}


def readme(document: Mapping[str, Any]) -> str:
    """Markdown of what `claim.json` holds."""
    rows = "\n".join(
        f"| {each['words']}{'' if each['decides'] else ' (beside)'} | {each['band_words']} | "
        f"{each['paper'] or '-'} | {found_words(each)} | {each['over']} | {each['verdict']} | "
        f"{each['reason'] or '-'} |"
        for each in document["comparisons"]
    )
    remarks = "".join(f"- {remark}\n" for remark in document["remarks"])
    files = "\n".join(f"| `{name}` | {what} |" for name, what in _FILES.items())
    data, photos, lines = document["data"], document["data"]["photos"], "\n".join(document["commands"])
    used, kind = _used(document["arms"]), _kind(document["arms"])
    return f"""# {document["id"]}

{document["statement"]}

Source: {document["source"]}. Verdict: **{document["verdict"]}**{_because(document["reason"])}

![Each arm's error, and each comparison with its band](figure.png)

| what is compared | held if | the source says | found (95 % interval) | over | verdict | why |
|---|---|---|---|---|---|---|
{rows}

{remarks}
Bands were written down in the code before any run. On {data["store"]}:
{photos["train"]:,} training{used} and {photos["val"]:,} validation photos of {data["classes"]} classes, of
{data["side"]} pixels{kind}. Made by

```
{lines}
```

| file | what |
|---|---|
{files}
"""


def _used(arms: Mapping[str, Any]) -> str:
    """How many of the training photos the arms are trained on; empty where all are on all."""
    counts = sorted({arm["data"]["max_images"] for arm in arms.values()})
    if not any(counts):
        return ""
    said = [f"{count:,}" for count in counts if count] + ["all"] * (0 in counts)
    return f" (of which the nets saw {' or '.join(said)})"


def _kind(arms: Mapping[str, Any]) -> str:
    """What all arms are shown, where it is not photos in color that are mirrored; empty where it is."""
    seen = [arm["data"] for arm in arms.values()]
    gray = ["gray"] if seen and all(data["channels"] == 1 for data in seen) else []
    plain = ["never mirrored"] if seen and not any(data["mirror"] for data in seen) else []
    return "".join(f", {words}" for words in (*gray, *plain))


def _because(reason: str) -> str:
    return f" ({reason})." if reason else "."


FIGURES = ("figure.png", "figure.svg")
ENVIRONMENT = ("device", "processor", "cores", "python", "packages", "commit")
"""What is kept of the runs' environments: nothing that is only true of one machine's folders."""
MANY = 100
"""Numbers, one for each seed, are kept; those of photos are not."""


def record(claim: Claim, workshop: ExperimentDir, seeds: Sequence[int] | None = None) -> dict[str, Any]:
    """Judges a claim, writes its folder and returns what `claim.json` holds."""
    found = findings(claim, workshop, seeds)
    trials = [trial for trial in workshop.trials([claim], seeds) if trial.run.config_file.is_file()]
    document = _document(claim, found, trials, workshop, seeds or claim.seeds)
    folder = workshop.path / claim.id
    for name in FIGURES:
        save(_figure(claim, found, trials, document), folder / name)
    write_whole(folder / "README.md", readme(document).encode())
    write_json(folder / VERDICT, document)
    return document


def commands(claim: Claim, workshop: ExperimentDir, seeds: Sequence[int]) -> list[str]:
    """What a reader types to make it again; stores are said to lie in `stores`."""
    again = ["alexnet", "claims", claim.id, "--store", _typed(workshop.store)]
    again += ["--run", workshop.path.resolve().name]
    if workshop.other is not None and any(arm.photos != "all" for arm in claim.arms):
        again += ["--other-store", _typed(workshop.other)]
    if tuple(seeds) != claim.seeds:
        again += ["--seeds", ",".join(map(str, seeds))]
    return [shlex.join([*again, *workshop.settings])]


def _typed(store: Store) -> str:
    return f"stores/{store.path.resolve().name}"


def band_of(band: Band) -> dict[str, float | None]:
    """A band for JSON; None is no end."""
    return {"low": _finite(band.low), "high": _finite(band.high)}


def _finite(number: float) -> float | None:
    return None if number in (float("inf"), float("-inf")) else number


def _document(
    claim: Claim,
    found: Sequence[Finding],
    trials: Sequence[ArmRun],
    workshop: ExperimentDir,
    seeds: Sequence[int],
) -> dict[str, Any]:
    decided, reason = verdict(found)
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": decided,
        "reason": reason,
        "remarks": [*claim.remarks],
        "seeds": [*seeds],
        "comparisons": [_found(each) for each in found],
        "arms": _arms(trials),
        "runs": [trial.facts() for trial in trials if trial.run.metrics_file.is_file()],
        "data": {**workshop.about(), **_data(workshop)},
        "environment": _environments(trials),
        "commands": commands(claim, workshop, seeds),
    }


def _found(found: Finding) -> dict[str, Any]:
    comparison = found.comparison
    return {
        "words": comparison.words,
        "measure": comparison.measure.words,
        "first": [arm.name for arm in comparison.first],
        "second": [arm.name for arm in comparison.second],
        "unit": comparison.unit,
        "band": band_of(comparison.band),
        "band_words": comparison.band.words(comparison.unit),
        "paper": comparison.paper,
        "decides": comparison.decides,
        "values": {name: [_value(value) for value in values] for name, values in found.values.items()},
        "numbers": [*found.numbers] if len(found.numbers) <= MANY else [],
        "over": f"{len(found.numbers)} " + ("seeds" if len(found.numbers) <= MANY else "photos"),
        "at_least": found.at_least,
        "interval": None if found.interval is None else asdict(found.interval),
        "verdict": found.verdict,
        "reason": found.reason,
    }


def _value(value: Value | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def _arms(trials: Sequence[ArmRun]) -> dict[str, Any]:
    """The whole configuration of each arm, but for the seed."""
    arms: dict[str, Any] = {}
    for trial in trials:
        config = to_dict(trial.config)
        del config["training"]["seed"]
        arms[trial.arm.name] = config
    return arms


def _data(workshop: ExperimentDir) -> dict[str, Any]:
    store = workshop.store
    counts = {name: len(store.split(name)) for name in store.splits}
    return {"photos": counts, "classes": len(store.classes), "side": store.side}


def _environments(trials: Sequence[ArmRun]) -> dict[str, Any]:
    """What the runs were made with; several values where they differ."""
    files = [trial.run for trial in trials if trial.run.environment_file.is_file()]
    found = [run.environment().to_dict() for run in files]
    kept: dict[str, Any] = {}
    for name in ENVIRONMENT:
        values = [facts[name] for facts in found]
        apart = [value for place, value in enumerate(values) if value not in values[:place]]
        kept[name] = apart[0] if len(apart) == 1 else apart
    kept["uncommitted_changes"] = any(facts["uncommitted_changes"] for facts in found)
    kept["measured_on"] = processor()
    return kept


def _figure(
    claim: Claim, found: Sequence[Finding], trials: Sequence[ArmRun], document: Mapping[str, Any]
) -> Any:
    curves = [
        Curve(
            trial.arm.name,
            [0.0, *(line["epoch"] / trial.epochs for line in trial.tests)],
            [float("nan"), *(line[claim.curve] for line in trial.tests)],
        )
        for trial in trials
        if not trial.diverged and trial.run.metrics_file.is_file()
    ]
    shown = [
        Shown(
            each.comparison.words + ("" if each.comparison.decides else " (beside)"),
            each.comparison.unit,
            [*each.numbers] if len(each.numbers) <= MANY else [],
            None if each.interval is None else (each.interval.mean, each.interval.low, each.interval.high),
            (each.comparison.band.low, each.comparison.band.high),
            each.verdict,
            each.at_least,
            each.reason,
        )
        for each in found
    ]
    data = document["data"]
    photos = f"{data['store']}, {data['photos']['val']:,} validation photos"
    about = f"{claim.id}: {document['verdict']} \N{EN DASH} {photos}"
    words = "training error" if claim.curve == "training_error" else "validation error"
    return draw_claim(shown, curves, words, about)
