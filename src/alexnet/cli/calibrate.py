"""`alexnet calibrate RUN [--store STORE]`: calibrated probabilities, and a score of sure predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import SCALES_HELP, VIEWS_HELP, VIEWS_METAVAR, view_names, view_set
from alexnet.cli.output import write_document, write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, a fit or an ensemble.")],
    store: Annotated[
        Path | None,
        typer.Option(help="The store with the validation images; by default the one used in training."),
    ] = None,
    accuracy: Annotated[
        float,
        typer.Option(
            metavar="N", help="Target accuracy of the predictions that `predict --min-score auto` keeps."
        ),
    ] = 0.95,
    views: Annotated[
        str, typer.Option(metavar=VIEWS_METAVAR, help=VIEWS_HELP, autocompletion=view_names)
    ] = "",
    scales: Annotated[str, typer.Option(metavar="Q,Q,...", help=SCALES_HELP)] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1|mps")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Batch size, in crops (images x views).")] = 256,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; rates are fractions in [0, 1].")
    ] = False,
    csv: Annotated[Path | None, csv_option("run")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Make a classifier's probabilities match how often it is right, on its validation images.

    A single number, the temperature, is fitted (Guo et al. 2017); the predicted classes do not change. It is
    saved in RUN/calibration.json with the smallest score at which predictions reach the wanted accuracy, for
    `predict --min-score auto`. predict, serve and export use it. A fit is calibrated already; do it again for
    other views or another accuracy.
    """
    from functools import partial
    from typing import cast

    from alexnet.evaluation.calibration import CalibrateOptions, calibrate
    from alexnet.progress import ProgressBar
    from alexnet.runs.calibration import CALIBRATION_FILE, describe_calibration
    from alexnet.runs.run_dir import members_of
    from alexnet.text import all_of

    options = CalibrateOptions(
        views=view_set(views, scales),
        accuracy=accuracy,
        device=device,
        batch_size=batch,
        progress=cast(ProgressBar, partial(progress_bar, unit="images", silent=as_json)),
        log=lambda line: None if as_json else write_notes(line),
    )
    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    found = calibrate(run, store, options)
    if tables:
        tables.write(_COLUMNS, [{"run": str(run), **found.to_dict()}], quiet=as_json)
    if as_json:
        write_document(found.to_dict())
    if as_json or tables:
        return
    write_lines(*describe_calibration(found))
    if found.predicted_by:
        names = all_of([Path(each).name for each in found.predicted_by])
        write_lines(f"The predictions are those of {names}, without these images in training.")
    members = members_of([run])
    place = members[0] if len(members) == 1 else run
    write_lines(f"saved in {place / CALIBRATION_FILE}; predict, serve and export use it")


_COLUMNS = {
    "run": str,
    "store": str,
    "split": str,
    "views": str,
    "images": int,
    "temperature": float,
    "calibration_error_before": float,
    "calibration_error_after": float,
    "nll_before": float,
    "nll_after": float,
    "wanted_accuracy": float,
    "min_score": float,
    "kept": int,
    "kept_errors": int,
}
