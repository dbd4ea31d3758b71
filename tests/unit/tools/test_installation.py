"""The environment in which a wheel is tried: what it requires, and nothing else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, PathDistribution
from pathlib import Path

import pytest

from tools.installation import link, required_by


def package(site: Path, *lines: str) -> PathDistribution:
    """A package `one` of the files in `site`, whose metadata have these lines."""
    files = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    metadata = site / "one-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", "Name: one", "Version: 1", *lines])
    )
    (metadata / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, "one-1.dist-info/METADATA"]))
    return PathDistribution(metadata)


def test_required_are_all_that_required_packages_require_and_no_extra(tmp_path: Path) -> None:
    wanted = package(
        tmp_path,
        "Requires-Dist: jinja2>=3",
        "Requires-Dist: fsspec[http]",
        'Requires-Dist: pytest; extra == "dev"',
        'Requires-Dist: absent-package; python_version < "3"',
    )
    found = {each.name.lower() for each in required_by(wanted)}
    assert {"jinja2", "markupsafe", "fsspec", "aiohttp", "yarl"} <= found
    assert not found & {"pytest", "pluggy", "absent-package"}


def test_a_package_that_is_required_and_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageNotFoundError, match="absent-package"):
        required_by(package(tmp_path, "Requires-Dist: absent-package"))


def test_links_show_one_package_and_none_of_those_that_share_its_directories(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("one.py", "whole/__init__.py", "whole/part/data.bin", "shared/mine/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    one = package(site)
    for name in ("two.py", "shared/theirs/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    linked = tmp_path / "linked"
    link(one, linked)
    assert sorted(path.name for path in linked.iterdir()) == ["one-1.dist-info", "one.py", "shared", "whole"]
    assert [path.name for path in (linked / "shared").iterdir()] == ["mine"]
    assert (linked / "whole" / "part" / "data.bin").read_text() == "whole/part/data.bin"
    assert [each.name for each in PathDistribution.discover(path=[str(linked)])] == ["one"]
