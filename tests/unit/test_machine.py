from __future__ import annotations

from pathlib import Path

import pytest

from alexnet import hardware


@pytest.mark.parametrize(
    ("told", "has"),
    [
        ("flags : fpu avx512f avx512_bf16", True),
        ("flags : fpu amx_bf16 amx_tile", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx2 f16c", False),
        ("Features : fp asimd", False),
        ("processor : 0", True),
        (None, True),
    ],
)
def test_bfloat16_is_read_from_what_linux_tells_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, told: str | None, has: bool
) -> None:
    def read(path: Path) -> str:
        if told is None:
            raise FileNotFoundError
        return told

    monkeypatch.setattr(Path, "read_text", read)
    assert hardware.multiplies_bfloat16() is has
