"""A script without a main guard prepares photos in worker processes.

They are the only processes that the package starts (training and tests use threads), and are spawned on every
system: a spawned process imports the main script unless that is prevented.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tiny

SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("spawn")
print("the script runs")
import alexnet

print(alexnet.prepare("photos", "store", side=72, workers=2))
"""


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    tiny.photos(tmp_path / "photos")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "the script runs\nStore('store': 3 classes, train 48, val 21 images, 72 x 72 pixels, RGB)\n"
    )
