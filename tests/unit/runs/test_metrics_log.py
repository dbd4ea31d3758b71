from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.checksum import Damaged, write_json_with_checksum
from alexnet.errors import DataError
from alexnet.runs.metrics_log import MetricsLog, has_finished, has_logged, read_metrics, training_end


def log(folder: Path, steps: range, first_step: int = 0) -> Path:
    file = folder / "metrics.jsonl"
    with MetricsLog(file, folder / "tensorboard", first_step) as lines:
        for step in steps:
            lines.write("train", step, step // 4, loss=1.0 / step, note="words")
    return file


def test_written_values_are_read(tmp_path: Path) -> None:
    lines = read_metrics(log(tmp_path, range(1, 4)))
    assert lines[1] == {"event": "train", "step": 2, "epoch": 0, "loss": 0.5, "note": "words"}
    assert len(lines) == 3


def test_every_line_is_on_disk_at_once(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl", tmp_path / "tensorboard") as lines:
        lines.write("start", 0, 0)
        assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    file = log(tmp_path, range(1, 4))
    whole = file.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1])):
        file.write_bytes(whole[:-cut])
        assert len(read_metrics(file)) == (3 if cut == 1 else 2)


def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1\n{"step": 2}\n')
    with pytest.raises(DataError, match="is not an event"):
        read_metrics(file)


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    file = log(tmp_path, range(1, 8))
    with file.open("a") as stream:
        stream.write('{"event": "tra')
    log(tmp_path, range(6, 9), first_step=5)
    assert [line["step"] for line in read_metrics(file)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    log(tmp_path, range(1, 4))
    events = b"".join(file.read_bytes() for file in (tmp_path / "tensorboard").iterdir())
    assert events.count(b"train/loss") == 3
    assert b"note" not in events


def test_lines_are_plain_json(tmp_path: Path) -> None:
    text = log(tmp_path, range(1, 3)).read_text()
    assert [json.loads(line)["step"] for line in text.splitlines()] == [1, 2]


def recorded(folder: Path, step: int, lines: int) -> None:
    """A checkpoint that was saved when the log had `lines` lines."""
    place = folder / "checkpoints" / f"step-{step:08}"
    place.mkdir(parents=True)
    meta = {"step": step, "log_lines": lines, "sha256": {"weights.safetensors": "", "state.pt": ""}}
    write_json_with_checksum(place / "meta.json", meta)


@pytest.mark.parametrize("change", [b"0.5", b"train", b'"step": 2', b"checksu"])
def test_a_changed_line_is_noticed(tmp_path: Path, change: bytes) -> None:
    file = log(tmp_path, range(1, 4))
    data = file.read_bytes()
    place = data.index(change, data.index(b"\n")) + len(change) - 1  # not in the first line
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(Damaged, match=r"metrics\.jsonl is damaged"):
        read_metrics(file)


def test_fewer_lines_than_a_checkpoint_recorded_are_noticed(tmp_path: Path) -> None:
    file = log(tmp_path, range(1, 8))
    recorded(tmp_path, 6, lines=6)
    whole = file.read_text().splitlines(keepends=True)
    for kept in (7, 6):
        file.write_text("".join(whole[:kept]))
        assert len(read_metrics(file)) == kept
    file.write_text("".join(whole[:5]))
    with pytest.raises(Damaged, match=r"it has 5 of 6 lines; .*--resume"):
        read_metrics(file)
    file.unlink()
    for read in (read_metrics, has_finished, has_logged, training_end):
        with pytest.raises(Damaged, match=r"is missing: it has 0 of 6 lines; .*--resume"):
            read(file)


def test_without_a_log_and_checkpoints_that_recorded_one_there_are_no_lines(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
    recorded(tmp_path, 6, lines=0)
    assert read_metrics(tmp_path / "metrics.jsonl") == []
    assert not has_finished(tmp_path / "metrics.jsonl")


def test_a_resumed_run_records_that_its_whole_log_is_lost(tmp_path: Path) -> None:
    recorded(tmp_path, 6, lines=6)
    file = tmp_path / "metrics.jsonl"
    with MetricsLog(file, tmp_path / "tensorboard", first_step=6, num_lines=6) as opened:
        assert opened.lost == 6
    assert [line["event"] for line in read_metrics(file)] == ["lost"]


def test_a_resumed_run_records_how_many_lines_are_lost(tmp_path: Path) -> None:
    file = log(tmp_path, range(1, 8))
    recorded(tmp_path, 6, lines=6)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], "zeros\n", *lines[3:]]))
    with MetricsLog(file, tmp_path / "tensorboard", first_step=6, num_lines=6) as opened:
        assert opened.lost == 2
        opened.write("train", 7, 1, loss=0.1)
        assert opened.sync() == 8
    found = read_metrics(file)
    assert [line["event"] for line in found] == [*4 * ["train"], "lost", "train"]
    assert found[4]["lines"] == 2


def test_a_damaged_line_is_lost_even_if_others_followed_the_checkpoint(tmp_path: Path) -> None:
    file = log(tmp_path, range(1, 8))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace("0.5", "0.6"), *lines[2:]]))
    with MetricsLog(file, tmp_path / "tensorboard", first_step=7, num_lines=5) as opened:
        assert opened.lost == 1
