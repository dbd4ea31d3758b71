"""Groups of photos, such as those of one person, which must not be in training and test both."""

from __future__ import annotations

from alexnet.data import store_notes
from alexnet.data.sources.selection import named_groups, names_in_keys
from alexnet.data.store import Split, Store
from alexnet.errors import DataError


def photo_groups(store: Store, split: Split) -> list[str] | None:
    """The name of each image's group, (N,) in the order of a split of the store; None if it has no groups.

    By the `--group-column` or `--group-by` that the store was prepared with. An image of no group is its own.
    DataError if the store's notes, which hold what `--group-column` names, are missing.
    """
    source, keys, origins = store.manifest.source, split.keys(), split.origins()
    if source.group_by:
        names = names_in_keys(keys, source.group_by)
    elif source.options.get("group_column"):
        noted = store_notes.photos(store_notes.read_all(store.path))
        group_of = {(name, photo.key): photo.group for name, photo in noted}
        try:
            names = [group_of[name] for name in zip(origins, keys, strict=True)]
        except KeyError as error:
            photo = "/".join(error.args[0])
            raise DataError(
                f"{store.path / store_notes.FOLDER} lacks the group of {photo}: delete the store and prepare "
                "it again"
            ) from None
    else:
        return None
    return named_groups([f"{origin}/{key}" for origin, key in zip(origins, keys, strict=True)], names)
