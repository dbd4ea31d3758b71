"""The description on a package index: the README without pictures and links to files of the repository."""

import re
from pathlib import Path

from setuptools import setup

README = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
RELATIVE = r"\((?!https?://)[^)]*\)"

setup(
    long_description=re.sub(
        rf"\[([^\]]*)\]{RELATIVE}", r"\1", re.sub(rf"!\[[^\]]*\]{RELATIVE}\n*", "", README)
    ),
    long_description_content_type="text/markdown",
)
