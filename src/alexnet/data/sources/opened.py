"""What every reader of a folder or a tar receives: the files, how to read them, and where the photos are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.survey import Survey, survey
from alexnet.data.sources.tree import Tree


@dataclass(frozen=True, eq=False)
class OpenedSource:
    """A folder or tar whose form is to be recognized."""

    tree: Tree
    options: SourceOptions

    @cached_property
    def survey(self) -> Survey:
        """The photos in each folder; counted when they are first needed."""
        return survey(self.tree)

    @cached_property
    def base(self) -> str:
        """The folder in which the layout begins; see `Survey.base`."""
        return self.survey.base()
