"""Data sets of HDF5 files from elsewhere: what they claim is checked before anything is read."""

from __future__ import annotations

from typing import cast

import h5py

MOST_NUMBERS = 50_000_000  # of a data set that is read at once: 400 MB in float64
# What h5py raises for a damaged file, besides KeyError.
READ_ERRORS = (KeyError, OSError, RuntimeError, TypeError, ValueError, MemoryError)


class HDF5ContentError(ValueError):
    """An entry that is not what it should be; the message says which and why."""


def entry_of(parent: h5py.Group, name: str) -> object:
    """What `name` stands for in this file; `KeyError`, or `HDF5ContentError` of a link."""
    link = parent.get(name, getlink=True)
    if link is None:
        raise KeyError(name)
    if not isinstance(link, h5py.HardLink):
        raise HDF5ContentError(f"{name} is a link, to another place or file")
    return cast(object, parent[name])


def group_of(parent: h5py.Group, name: str) -> h5py.Group:
    """The group `name` of this file; `KeyError` if there is none, else `HDF5ContentError`."""
    entry = entry_of(parent, name)
    if not isinstance(entry, h5py.Group):
        raise HDF5ContentError(f"{name} is a data set and not a group")
    return entry


def data_set_of(parent: h5py.Group, name: str, most: int = MOST_NUMBERS) -> h5py.Dataset:
    """The data set `name` of this file, with at most `most` entries; 0: any number.

    Raises `KeyError` if there is none, and `HDF5ContentError` where it is a group, where its data
    lie in another file, or where it claims to hold more.
    """
    entry, where = entry_of(parent, name), f"{parent.name}/{name}".strip("/")
    if not isinstance(entry, h5py.Dataset):
        raise HDF5ContentError(f"{where} is a group and not a data set")
    if entry.external or entry.is_virtual:
        raise HDF5ContentError(f"the data of {where} lie in another file")
    if most and (entry.size or 0) > most:
        raise HDF5ContentError(f"{where} claims {entry.size} entries, more than {most}")
    return entry


def numbers_of(parent: h5py.Group, name: str, most: int = MOST_NUMBERS) -> h5py.Dataset:
    """As `data_set_of`, of numbers."""
    entry = data_set_of(parent, name, most)
    if entry.dtype.kind not in "biuf":
        where = f"{parent.name}/{name}".strip("/")
        raise HDF5ContentError(f"{where} does not hold numbers but {entry.dtype}")
    return entry


def names_of(file: h5py.File, length: int) -> h5py.Group | h5py.Dataset | None:
    """Where the names of the pairs are; None: nowhere."""
    if "names" not in file:
        return None
    entry = entry_of(file, "names")
    if isinstance(entry, h5py.Group):
        return entry
    names = data_set_of(file, "names")
    if names.shape[:1] != (length,):
        raise HDF5ContentError(f"names is of shape {names.shape}, but there are {length} pairs")
    return names
