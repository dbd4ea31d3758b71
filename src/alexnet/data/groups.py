"""Groups of photos, such as those of one person, which must not be in training and test both."""

from __future__ import annotations

from alexnet.data import store_notes
from alexnet.data.sources.selection import named_groups, names_in_keys
from alexnet.data.store import Split, Store


def photo_groups(store: Store, split: Split) -> list[str] | None:
    """The name of each image's group, (N,) in the order of a split of the store; None if it has no groups.

    By the `--group-column` or `--group-by` that the store was prepared with. An image of no group is its own.
    """
    source, keys = store.manifest.source, split.keys()
    if source.group_by:
        names = names_in_keys(keys, source.group_by)
    elif source.options.get("group_column"):
        splits, notes = split.name.split("+"), store_notes.read_all(store.path)
        group_of = {photo.key: photo.group for name, photo in store_notes.photos(notes) if name in splits}
        names = [group_of.get(key, "") for key in keys]
    else:
        return None
    return named_groups([f"{split.name}/{key}" for key in keys], names)
