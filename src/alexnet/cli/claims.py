"""`alexnet claims [ID...]`: tests the lecture's claims by training models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.options import ConfigOption, settings_of_file
from alexnet.cli.output import write_document, write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import CommandError
from alexnet.hardware import choose_device, describe_device
from alexnet.io import exclusive_lock

if TYPE_CHECKING:
    from alexnet.experiments.arms import ArmRun
    from alexnet.experiments.claim_results import ClaimResult
    from alexnet.experiments.claims import Claim
    from alexnet.experiments.cost import Cost
    from alexnet.experiments.experiment_dir import ExperimentDir

DEFAULT_FOLDER = Path("claims")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|KEY=VALUE...", help="Claims to test, or `all`; settings for all runs."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="The store made by `alexnet prepare`.")] = None,
    run: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for runs and verdicts.")
    ] = DEFAULT_FOLDER,
    other_store: Annotated[
        Path | None, typer.Option(metavar="STORE", help="A store with other classes, for features-travel.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="The same as key=value.")
    ] = None,
    config: ConfigOption = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,2", help="Seeds to use instead of each claim's own.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Only show what would be trained, and how long it would take.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Save and exit with code 75 after this many minutes.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    only: Annotated[
        str | None, typer.Option(metavar="RUN", help="Train only this run, without a verdict.")
    ] = None,
    print_commands: Annotated[
        bool, typer.Option("--print-commands", help="Print one command per untrained run and exit.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    csv: Annotated[Path | None, csv_option("claim, with its verdict if there is one")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """List the claims of a lecture about AlexNet, or test some of them.

    A test trains the models that the claim compares, with several seeds each, and gives a verdict. Run the
    same command again to resume; nothing is trained twice. If it runs in several terminals, they share the
    runs. Each claim gets a folder DIR/ID with its verdict, numbers and figure.
    """
    from tempfile import TemporaryDirectory

    from alexnet.experiments.arms import RECIPE, settings_of_store
    from alexnet.experiments.claims import CLAIMS, find
    from alexnet.experiments.experiment_dir import ExperimentDir

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    given = [word for word in words or [] if "=" not in word]
    changes = [*(word for word in words or [] if "=" in word), *(settings or [])]
    if config is not None:
        _, changes = settings_of_file(RECIPE, changes, config, own_seeds=True)
    if not given:
        if changes or seeds is not None or dry or print_commands or only is not None:
            raise CommandError("type the claims to test, or `all`: `alexnet claims` lists them")
        if tables:
            _write_tables(tables, CLAIMS, run, as_json)
        if as_json or not tables:
            _list(CLAIMS, run, as_json)
        return
    claims, chosen = find(given), _seeds(seeds)
    if store is None:
        raise CommandError("type the store to test claims on: --store STORE (`alexnet prepare` makes one)")
    experiment = ExperimentDir.open(run, store, other_store, changes, choose_device(device))
    if taken := settings_of_store(experiment.store, changes):
        line = f"{' '.join(taken)}, since these are the size and channels of the store's images"
        (write_notes if as_json or print_commands else write_lines)(line)
    if (dry or print_commands) and tables:
        raise CommandError("--dry and --print-commands give no verdicts: omit --csv and --parquet")
    if print_commands and as_json:
        raise CommandError("--print-commands prints commands: omit --json")
    with TemporaryDirectory() as scratch:
        if dry or print_commands:
            experiment = experiment.trying_out(Path(scratch))
        fit = _fitting(experiment, claims, as_json or print_commands)
        session = _Session(experiment, fit, chosen, as_json)
        if dry:
            session.announce(dry=True)
        elif print_commands:
            typed = {"--store": store, "--run": run, "--other-store": other_store, "--seeds": seeds}
            options = [
                word for key, value in typed.items() if value is not None for word in (key, str(value))
            ]
            options += [] if device == "auto" else ["--device", device]
            session.print_commands(["alexnet", "claims", *given, *options, *changes])
        else:
            experiment.refuse_fewer_seeds(session.claims, chosen)
            end = None if minutes is None else time.monotonic() + 60 * minutes
            session.work(end, only)
            if tables:
                _write_tables(tables, session.claims, run, as_json)


@dataclass(frozen=True)
class _Session:
    """The claims that one command tests."""

    experiment: ExperimentDir
    claims: Sequence[Claim]
    seeds: list[int] | None
    """Instead of the claims' own."""
    as_json: bool

    def runs(self) -> list[ArmRun]:
        """The runs that the claims need, each once."""
        return self.experiment.arm_runs(self.claims, self.seeds)

    def log(self, line: str) -> None:
        """Prints a line on standard output, or on standard error if the former is for JSON."""
        (write_notes if self.as_json else write_lines)(line)

    def print_commands(self, command: Sequence[str]) -> None:
        """Prints one command line per unfinished run."""
        for line in self.experiment.runner(self.runs()).command_lines(command):
            write_lines(line)

    def work(self, end: float | None, only: str | None) -> None:
        """Trains what is missing, claim by claim, and judges each as soon as its runs are finished.

        At the end, waits for runs of other processes. Raises Stopped, after saving, when the clock reaches
        `end`. With `only`, that run is trained and nothing is judged.
        """
        runs = self.runs()
        if only is not None:
            self._train_only(only, runs, end)
            return
        self.experiment.begin()
        self.announce(dry=False)
        results: dict[str, ClaimResult] = {}
        began = time.time()
        for wait in (False, True):
            for claim in self.claims:
                if claim.id not in results and self._trained(claim, end, wait):
                    results[claim.id] = self._judged(claim, began)
        folders = ", ".join(f"{self.experiment.path / claim.id}/README.md" for claim in self.claims)
        self.log(f"next: see {folders}")
        if self.as_json:
            documents = [results[claim.id].to_dict() for claim in self.claims]
            write_document(documents)

    def _train_only(self, name: str, runs: Sequence[ArmRun], end: float | None) -> None:

        chosen = [run for run in runs if run.name == name]
        if not chosen:
            raise CommandError(f"no run {name!r} in these claims; --print-commands lists those that are left")
        self.experiment.begin()
        self._train(chosen, end, wait=True, label="")

    def _trained(self, claim: Claim, end: float | None, wait: bool) -> bool:
        """Trains a claim's runs that no other process trains, with `wait` all of them; returns whether all
        are finished.
        """
        runs = self.experiment.arm_runs([claim], self.seeds)
        self.experiment.runner(runs).tidy()
        left = [run for run in runs if not run.finished]
        return not left or self._train(left, end, wait, f"{claim.id}, ")

    def _train(self, runs: Sequence[ArmRun], end: float | None, wait: bool, label: str) -> bool:

        runner = self.experiment.runner(
            runs,
            progress=lambda name: (
                lambda total, done: progress_bar(name, total, done=done, unit="images", silent=self.as_json)
            ),
            log=self.log,
        )
        return runner.train(deadline=end, wait=wait, label=label)

    def _judged(self, claim: Claim, began: float) -> ClaimResult:
        """The verdict on a claim; if another process has judged it in the meantime, that one."""
        from alexnet.experiments.photo_errors import PhotoErrors
        from alexnet.experiments.verdict import judge_claim
        from alexnet.report.claims import keep

        with exclusive_lock(self.experiment.path, wait=True):
            result = self.experiment.judged_since(claim, self.seeds, began)
            if result is None:
                self.log(f"judging {claim.id}")
                seeds = self.seeds or claim.seeds
                photos = PhotoErrors.of_claim(claim, self.experiment, seeds)
                result = judge_claim(claim, self.experiment, photos, seeds)
                photos.save(self.experiment.path / claim.id)
                keep(self.experiment.path / claim.id, claim, result)
        self.log(_verdict_line(result.id, result.verdict, result.reason))
        for each in result.comparisons:
            held_if = each.band.words(each.unit)
            self.log(f"  {each.title}: {each.found or '-'}, held if {held_if}: {each.verdict}")
        return result

    def announce(self, dry: bool) -> None:
        """Prints what will be trained and, after timing a few updates, how long it will take."""
        from alexnet.experiments.cost import costs
        from alexnet.experiments.verdict import without_verdict

        for line in without_verdict(self.claims, self.seeds):
            self.log(line)
        runs = self.runs()
        missing = len(dict.fromkeys(run.arm for run in runs if not run.finished))
        with progress_bar("timing", missing, unit="arms", silent=self.as_json or not missing) as advance:
            found = costs(runs, advance)
        where, done = describe_device(self.experiment.device), sum(run.finished for run in runs)
        if self.as_json and dry:
            write_document(self._plan(runs, found, where))
            return
        for line in _plan_lines(found):
            self.log(line)
        total = sum(each.minutes for each in found)
        left = f", about {_time(total)} on {where}, as just measured" if found else ""
        ids = ", ".join(claim.id for claim in self.claims)
        self.log(f"{len(runs)} runs for {ids}: {done} finished, {len(runs) - done} to train{left}")

    def _plan(self, runs: Sequence[ArmRun], costs: Sequence[Cost], where: str) -> dict[str, Any]:
        return {
            "claims": [claim.id for claim in self.claims],
            "device": where,
            "runs": [{"run": run.name, "finished": run.finished} for run in runs],
            "arms": [each.to_dict() for each in costs],
            "minutes": sum(each.minutes for each in costs),
        }


def _fitting(experiment: ExperimentDir, claims: Sequence[Claim], to_stderr: bool) -> list[Claim]:
    """The claims that can be tested on the store; prints the reasons for the others. CommandError if there
    are none.
    """

    fit, why = experiment.fitting(claims)
    if not fit and len(claims) == 1:
        raise CommandError(why[0])
    for line in why:
        (write_notes if to_stderr else write_lines)(line)
    if not fit:
        raise CommandError("none of these claims can be tested here")
    return fit


def _plan_lines(costs: Sequence[Cost]) -> list[str]:
    from alexnet.report.tables import Table

    if not costs:
        return []
    rows = [
        (
            each.arm.name,
            ", ".join(map(str, each.seeds)),
            str(each.epochs),
            f"{each.updates:,}",
            f"{each.minutes:.1f}",
        )
        for each in costs
    ]
    heads = ("arm", "seeds to train", "epochs each", "total updates", "total minutes")
    return Table(heads, rows, numeric=frozenset(heads[2:])).text().splitlines()


_COLUMNS = {
    "id": str,
    "statement": str,
    "source": str,
    "runs": int,
    "epochs": float,
    "verdict": str,
    "reason": str,
}


def _write_tables(tables: TableFiles, claims: Sequence[Claim], folder: Path, as_json: bool) -> None:
    rows = [_listed(claim, folder) for claim in claims]
    tables.write(_COLUMNS, [{**row, "epochs": float(row["epochs"])} for row in rows], quiet=as_json)


def _list(claims: Sequence[Claim], folder: Path, as_json: bool) -> None:
    """Prints every claim with its cost, and its verdict if there is one in the folder."""
    rows = [_listed(claim, folder) for claim in claims]
    if as_json:
        write_document(rows)
        return
    for row in rows:
        write_lines(
            f"{row['id']}: {row['statement']}",
            f"    Source: {row['source']}",
            f"    Cost: {row['runs']} runs, {row['epochs']:g} epochs in total",
        )
        if row["verdict"]:
            write_lines(f"    In {folder}: {_verdict_line(row['id'], row['verdict'], row['reason'])}")
    write_lines(
        "",
        "Runs that several claims share are trained once. To test a claim, type: "
        "alexnet claims ID --store STORE (with --dry: only show how long it takes)",
    )


def _listed(claim: Claim, folder: Path) -> dict[str, Any]:
    """For JSON; `epochs` are those of all its runs at the default size."""
    from alexnet.experiments.arms import EPOCHS
    from alexnet.experiments.claim_results import read_claim

    found = read_claim(folder / claim.id)
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "arms": [arm.name for arm in claim.arms],
        "seeds": [*claim.seeds],
        "runs": len(claim.arms) * len(claim.seeds),
        "epochs": len(claim.seeds) * sum(arm.longer * EPOCHS for arm in claim.arms),
        "verdict": "" if found is None else found.verdict,
        "reason": "" if found is None else found.reason,
    }


def _verdict_line(id_: str, verdict: str, reason: str) -> str:
    return f"{id_}: {verdict}{f' ({reason})' if reason else ''}"


def _seeds(text: str | None) -> list[int] | None:
    """The seeds in `0,1,2`; None if there are none. CommandError for anything else."""

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len({*parts}) < len(parts):
        raise CommandError(f"--seeds {text!r} must be different whole numbers, such as 0,1,2")
    return list(map(int, parts))


def _time(minutes: float) -> str:
    if minutes < 2:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
