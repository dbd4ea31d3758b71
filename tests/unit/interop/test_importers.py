from __future__ import annotations

import codecs
import sys
from pathlib import Path

import pytest

from alexnet.errors import DataError
from alexnet.interop.importers import read_class_list


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_first_class(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("ant\nbée\tBee\n".encode(encoding))
    assert path.read_bytes().startswith((codecs.BOM_UTF8, codecs.BOM_UTF16)) == (encoding != "utf-8")
    assert [(each.wnid, each.name) for each in read_class_list(path)] == [("ant", "ant"), ("bée", "Bee")]


def test_a_class_that_is_there_twice_is_found_in_one_pass(tmp_path: Path) -> None:
    path, called = tmp_path / "names.txt", list[str]()
    path.write_text("ant\nbee\ncat\nbee\nant\n")
    sys.setprofile(lambda frame, event, used: called.append(used.__name__) if event == "c_call" else None)
    try:
        with pytest.raises(DataError, match=r"names\.txt has ant twice"):
            read_class_list(path)
    finally:
        sys.setprofile(None)
    assert "count" not in called  # that of a list reads all of it
