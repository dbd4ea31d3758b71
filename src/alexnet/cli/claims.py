"""`alexnet claims [ID...]`: the lecture's claims, and what the runs that test them say."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from alexnet.experiments.claims import ArmRun, Claim
    from alexnet.experiments.experiment_dir import ExperimentDir
    from alexnet.experiments.runner import Cost

FOLDER = Path("claims")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...] [key=value...]", help="Claims, `all`, and settings for all runs."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="What `alexnet prepare` made.")] = None,
    run: Annotated[Path, typer.Option(metavar="DIR", help="A folder for runs and verdicts.")] = FOLDER,
    other_store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Other classes, for features-travel.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="key=value", help="The same as key=value.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,2", help="Instead of each claim's own.")] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Say what would be trained, and how long.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Then save and exit with code 75.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:NUMBER.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the lecture's claims, or test some: train what they compare, several seeds each, and judge.

    The same command goes on where it was stopped, and trains nothing twice; typed in several terminals it
    shares the runs out. Each claim leaves a folder DIR/ID with its verdict, numbers and figure.
    """
    from alexnet.experiments.claim_registry import CLAIMS, find

    given = [word for word in words or [] if "=" not in word]
    changes = [*(word for word in words or [] if "=" in word), *(settings or [])]
    if not given:
        _refuse_without_claims(changes, seeds, dry)
        _list(CLAIMS, run, as_json)
        return
    claims, chosen = find(given), _seeds(seeds)
    _test(claims, store, run, other_store, changes, chosen, dry, minutes, device, as_json)


def _test(
    claims: Sequence[Claim],
    store: Path | None,
    run: Path,
    other_store: Path | None,
    settings: list[str],
    seeds: list[int] | None,
    dry: bool,
    minutes: float | None,
    device: str,
    as_json: bool,
) -> None:
    from tempfile import TemporaryDirectory

    from alexnet.errors import CommandError
    from alexnet.experiments.experiment_dir import ExperimentDir
    from alexnet.hardware import choose_device

    if store is None:
        raise CommandError("name the store to test claims on: --store STORE (`alexnet prepare` makes one)")
    with TemporaryDirectory() as scratch:
        workshop = ExperimentDir.open(run, store, other_store, settings, choose_device(device))
        if dry:
            workshop = workshop.trying_out(Path(scratch))
            _announce(workshop, _fitting(workshop, claims, as_json), seeds, as_json, dry=True)
            return
        workshop.refuse_fewer_seeds(claims, seeds)
        claims = _fitting(workshop, claims, as_json)
        workshop.begin()
        end = None if minutes is None else time.monotonic() + 60 * minutes
        _announce(workshop, claims, seeds, as_json, dry=False)
        documents = _work(workshop, claims, seeds, end, as_json)
    if as_json:
        typer.echo(json.dumps(documents, indent=2))


def _fitting(workshop: ExperimentDir, claims: Sequence[Claim], as_json: bool) -> list[Claim]:
    """What the store is enough for; of the rest it is said why. CommandError where nothing is left."""
    from alexnet.errors import CommandError

    fit, why = workshop.fitting(claims)
    if not fit and len(claims) == 1:
        raise CommandError(why[0])
    for line in why:
        _say(line, as_json)
    if not fit:
        raise CommandError("none of these claims can be tested here")
    return fit


def _work(
    workshop: ExperimentDir,
    claims: Sequence[Claim],
    seeds: list[int] | None,
    end: float | None,
    as_json: bool,
) -> list[dict[str, Any]]:
    """Trains what is missing, claim by claim, and judges each as soon as its runs are there.

    What other processes train is waited for in the end. Stopped, after saving, where the clock has reached
    `end`.
    """
    began, documents = time.time(), dict[str, dict[str, Any]]()
    for wait in (False, True):
        for claim in claims:
            if claim.id not in documents and _trained(workshop, claim, seeds, end, wait, as_json):
                documents[claim.id] = _judged(workshop, claim, seeds, began, as_json)
    _say(f"next: see {', '.join(f'{workshop.path / claim.id}/README.md' for claim in claims)}", as_json)
    return [documents[claim.id] for claim in claims]


def _trained(
    workshop: ExperimentDir,
    claim: Claim,
    seeds: list[int] | None,
    end: float | None,
    wait: bool,
    as_json: bool,
) -> bool:
    """Trains a claim's runs that no other process trains, or with `wait` all; whether all are finished."""
    missing = [trial for trial in workshop.trials([claim], seeds) if not trial.finished]
    for number, trial in enumerate(missing, start=1):
        if wait and not trial.finished:
            _say(f"waiting until no other process is at {trial.name}", as_json)
        with workshop.at_work_on(trial, wait) as ours:
            if ours and not trial.finished:
                _say(f"\n# {claim.id}, {number} of {len(missing)}: {trial.name}", as_json)
                _train(trial, end, as_json)
    return all(trial.finished for trial in missing)


def _judged(
    workshop: ExperimentDir, claim: Claim, seeds: list[int] | None, began: float, as_json: bool
) -> dict[str, Any]:
    """What is recorded of a claim; where another process has judged it meanwhile, what that found."""
    from alexnet.experiments.claim_results import record
    from alexnet.experiments.experiment_dir import judged_since
    from alexnet.io import exclusive_lock

    with exclusive_lock(workshop.path, wait=True):
        document = judged_since(workshop.path, claim, seeds, began)
        if document is None:
            _say(f"judging {claim.id}", as_json)
            document = record(claim, workshop, seeds)
    _say(_verdict_line(document), as_json)
    for line in _found_lines(document):
        _say(line, as_json)
    return document


def _train(trial: ArmRun, end: float | None, as_json: bool) -> None:
    from alexnet.cli.progress import progress_bar
    from alexnet.errors import Stopped
    from alexnet.experiments.runner import train_trial
    from alexnet.hardware import describe_device

    left = None if end is None else max(0.0, (end - time.monotonic()) / 60)
    try:
        train_trial(
            *(trial, describe_device(trial.device), sys.argv, left),
            progress=lambda total, done: progress_bar(
                trial.name, total, done=done, unit="images", silent=as_json
            ),
            say=lambda line: _say(line, as_json),
        )
    except Stopped as stopped:
        raise Stopped(f"{trial.name} is saved on its way: the same command goes on") from stopped


def _announce(
    workshop: ExperimentDir, claims: Sequence[Claim], seeds: list[int] | None, as_json: bool, dry: bool
) -> None:
    """Says what will be trained and, after timing a little of it, how long that will take."""
    from alexnet.cli.progress import progress_bar
    from alexnet.experiments.runner import costs
    from alexnet.experiments.verdict import without_verdict
    from alexnet.hardware import describe_device

    for line in without_verdict(claims, seeds):
        _say(line, as_json)
    trials = workshop.trials(claims, seeds)
    missing = len(dict.fromkeys(trial.arm for trial in trials if not trial.finished))
    with progress_bar("timing", missing, unit="arms", silent=as_json or not missing) as advance:
        found = costs(trials, advance)
    where, done = describe_device(workshop.device), sum(trial.finished for trial in trials)
    if as_json and dry:
        typer.echo(json.dumps(_plan_json(claims, trials, found, where), indent=2))
        return
    for line in _plan(found):
        _say(line, as_json)
    total = sum(each.minutes for each in found)
    left = f", about {_time(total)} on {where}, as timed just now" if found else ""
    _say(
        f"{len(trials)} runs for {', '.join(claim.id for claim in claims)}: {done} done, "
        f"{len(trials) - done} to make{left}",
        as_json,
    )


def _plan(costs: Sequence[Cost]) -> list[str]:
    from alexnet.report.tables import Table

    if not costs:
        return []
    rows = [
        [
            *(each.arm.name, ", ".join(map(str, each.seeds)), str(each.epochs)),
            *(f"{each.updates:,}", f"{each.minutes:.1f}"),
        ]
        for each in costs
    ]
    heads = ("arm", "seeds to train", "epochs each", "updates in all", "minutes in all")
    table = Table(heads, rows, numeric=frozenset(heads[2:]))
    return table.text().splitlines()


def _plan_json(
    claims: Sequence[Claim], trials: Sequence[ArmRun], costs: Sequence[Cost], where: str
) -> dict[str, Any]:
    return {
        "claims": [claim.id for claim in claims],
        "device": where,
        "runs": [{"run": trial.name, "finished": trial.finished} for trial in trials],
        "arms": [each.to_dict() for each in costs],
        "minutes": sum(each.minutes for each in costs),
    }


def _list(claims: Sequence[Claim], folder: Path, as_json: bool) -> None:
    """Every claim with what it costs, and its verdict where there is one in the folder."""
    from alexnet.experiments.experiment_dir import listed

    rows = [listed(claim, folder) for claim in claims]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['id']}: {row['statement']}")
        typer.echo(f"    Source: {row['source']}")
        typer.echo(f"    Cost: {row['runs']} runs, {row['passes']:g} passes through all photos in all")
        if row["verdict"]:
            typer.echo(f"    In {folder}: {_verdict_line(row)}")
    typer.echo(
        "\nRuns that claims share are made once. Test one: alexnet claims ID --store STORE (--dry: how long)"
    )


def _verdict_line(document: dict[str, Any]) -> str:
    reason = f" ({document['reason']})" if document["reason"] else ""
    return f"{document['id']}: {document['verdict']}{reason}"


def _found_lines(document: dict[str, Any]) -> list[str]:
    from alexnet.report.claims import found_words

    return [
        f"  {each['words']}: {found_words(each)}, held if {each['band_words']}: {each['verdict']}"
        for each in document["comparisons"]
    ]


def _seeds(text: str | None) -> list[int] | None:
    """The seeds of `0,1,2`; None where none are typed. CommandError for anything else."""
    from alexnet.errors import CommandError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len({*parts}) < len(parts):
        raise CommandError(f"--seeds {text!r} are not different whole numbers, such as 0,1,2")
    return list(map(int, parts))


def _refuse_without_claims(settings: list[str], seeds: str | None, dry: bool) -> None:
    from alexnet.errors import CommandError

    if settings or seeds is not None or dry:
        raise CommandError("name the claims to test, or `all`: `alexnet claims` lists them")


def _time(minutes: float) -> str:
    if minutes < 2:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def _say(line: str, as_json: bool) -> None:
    """On standard output, or beside it where that is for JSON."""
    typer.echo(line, err=as_json)
