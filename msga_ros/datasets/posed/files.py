"""Writing dumps in the published layout: compact, in parts, each part whole or not there.

Parts are small dumps of their own, so that merging them copies what is compressed already.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from msga_ros.datasets.dumps import true_residual
from msga_ros.datasets.hdf5_checks import READ_ERRORS
from msga_ros.datasets.hdf5_writing import new_hdf5
from msga_ros.datasets.posed.base import PosedImagesError
from msga_ros.datasets.posed.matching import PairMatches, Result
from msga_ros.foreign_text import shown
from msga_ros.whole_files import write_whole

_EVIDENCE = ("ratios", "mutuals", "rotations", "log_scales", "distances")  # columns `EVIDENCE`
_EVIDENCE_BITS = (10, 0, 8, 6, 10)  # kept after the point of each where coordinates are rounded
GROUPS = ("xs", "ys", "Rs", "ts", *_EVIDENCE, "cx1s", "cy1s", "cx2s", "cy2s", "f1s", "f2s")
_RESIDUAL_BITS = 10  # of the mantissa: a relative step of a thousandth
_SETTINGS = "settings.json"
# Readable since HDF5 1.10 (2016); half of the small arrays' size is headers before that.
_FORMAT = ("v110", "v110")


class Parts:
    """Folder of the parts of a dump that is being made; it is there to go on from."""

    def __init__(
        self, folder: Path, settings: dict[str, object], bits: int, residuals: bool
    ) -> None:
        """Open or make the folder; read which pairs are done.

        Raises:
            PosedImagesError: the folder is of a dump with other settings.
        """
        self.folder = folder
        self._bits = bits
        self._residuals = residuals
        self._where: dict[str, tuple[Path, int]] = {}
        self._rejected: dict[str, str] = {}
        folder.mkdir(exist_ok=True)
        for path in folder.glob("*.tmp"):
            path.unlink()
        self._check_settings(json.dumps(settings, indent=1, sort_keys=True) + "\n")
        for path in sorted(folder.glob("part-*.h5")):
            try:
                with h5py.File(path, "r") as file:
                    names, reasons = _texts(file["names"]), _texts(file["rejected"])
            except READ_ERRORS as error:
                text = f"not a part of a dump ({shown(error)}); delete it, and it is made again"
                raise PosedImagesError(f"{path}: {text}") from error
            self._note(path, names, reasons)

    def __contains__(self, name: str) -> bool:
        return name in self._where or name in self._rejected

    def accepted(self, name: str) -> bool:
        """Whether the pair is done and kept."""
        return name in self._where

    @property
    def rejected(self) -> dict[str, str]:
        """Reasons by name of the pairs that are done and not kept."""
        return self._rejected

    def add(self, results: Sequence[Result]) -> None:
        """Keep the results of a task, at once on disk."""
        kept = [(r.name, r.matches) for r in results if r.matches is not None]
        refused = [(r.name, r.rejected) for r in results if r.matches is None]
        names = [name for name, _ in (*kept, *refused)]
        reasons = [reason for _, reason in refused]
        digest = zlib.crc32("\n".join(sorted(names)).encode())
        path = self.folder / f"part-{digest:08x}-{len(names)}.h5"
        with new_hdf5(path, _FORMAT) as new:
            for index, (_, matches) in enumerate(kept):
                _write_pair(new.file, str(index), matches, self._bits, self._residuals)
                new.check()
            _write_texts(new.file, "names", names)
            _write_texts(new.file, "rejected", reasons)
        self._note(path, names, reasons)

    def merge(self, names: Iterable[str], output: Path, attributes: dict[str, object]) -> int:
        """Write the dump of those pairs, in that order; how many there are. Atomic."""
        chosen = [name for name in names if name in self._where]
        with new_hdf5(output, _FORMAT) as new:
            file = new.file
            groups = [g for g in GROUPS if g != "ys" or self._residuals]
            targets = {group: file.create_group(group) for group in groups}
            opened, current = None, Path()
            try:
                for number, name in enumerate(chosen):
                    path, index = self._where[name]
                    if opened is None or path != current:
                        if opened is not None:
                            opened.close()
                        opened, current = h5py.File(path, "r"), path
                    for group, target in targets.items():
                        opened.copy(f"{group}/{index}", target, name=str(number))
                    new.check()
            finally:
                if opened is not None:
                    opened.close()
            _write_texts(file, "names", chosen)
            file.attrs["pairs"] = len(chosen)
            for key, value in attributes.items():
                file.attrs[key] = value
        return len(chosen)

    def remove(self) -> None:
        """Delete the folder; the dump is complete."""
        for path in (*self.folder.glob("part-*.h5"), self.folder / _SETTINGS):
            path.unlink()
        self.folder.rmdir()

    def _check_settings(self, text: str) -> None:
        path = self.folder / _SETTINGS
        if not path.exists():
            if any(self.folder.iterdir()):
                raise PosedImagesError(f"{self.folder} is in the way: not parts of a dump")
            write_whole(path, text)
        elif path.read_text() != text and not any(self.folder.glob("part-*.h5")):
            write_whole(path, text)
        elif path.read_text() != text:
            raise PosedImagesError(
                f"{self.folder} holds parts made with other settings: "
                "give those, or delete the folder"
            )

    def _note(self, path: Path, names: Sequence[str], reasons: Sequence[str]) -> None:
        kept = len(names) - len(reasons)
        self._where.update((name, (path, index)) for index, name in enumerate(names[:kept]))
        self._rejected.update(zip(names[kept:], reasons, strict=True))


def round_to_bits(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """The nearest multiples of 2^-bits: trailing zeros, which compress; 0 bits: as they are."""
    if not bits:
        return values
    scale = np.float32(2.0**bits)
    return np.asarray(np.round(values * scale) / scale, np.float32)


def _write_pair(file: h5py.File, key: str, pair: PairMatches, bits: int, residuals: bool) -> None:
    rows = round_to_bits(pair.correspondences, bits)
    _packed(file, f"xs/{key}", rows[None])
    if residuals:
        distance = true_residual(rows, pair.rotation, pair.translation)
        distance = _round_mantissa(distance) if bits else distance
        _packed(file, f"ys/{key}", distance[:, None])
    for group, column, kept in zip(_EVIDENCE, pair.evidence.T, _EVIDENCE_BITS, strict=True):
        _packed(file, f"{group}/{key}", round_to_bits(column, kept if bits else 0))
    small: dict[str, ArrayLike] = {
        "Rs": pair.rotation,
        "ts": pair.translation[:, None],
        "cx1s": pair.centres[0, :1],
        "cy1s": pair.centres[0, 1:],
        "cx2s": pair.centres[1, :1],
        "cy2s": pair.centres[1, 1:],
        "f1s": pair.focals[:1],
        "f2s": pair.focals[1:],
    }
    for group, values in small.items():
        file[f"{group}/{key}"] = np.asarray(values, np.float32)


def _packed(file: h5py.File, name: str, values: NDArray[np.generic]) -> None:
    data = np.asarray(values, np.float32)
    options = {"shuffle": True, "compression": "gzip", "compression_opts": 9}
    file.create_dataset(name, data=data, chunks=data.shape, **options)


def _round_mantissa(values: NDArray[np.float32]) -> NDArray[np.float32]:
    fraction, exponent = np.frexp(values)
    scale = np.float32(2.0**_RESIDUAL_BITS)
    return np.asarray(np.ldexp(np.round(fraction * scale) / scale, exponent), np.float32)


def _write_texts(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    file.create_dataset(name, data=np.array(texts, dtype=object), dtype=h5py.string_dtype())


def _texts(dataset: h5py.Dataset) -> list[str]:
    return [text.decode() if isinstance(text, bytes) else str(text) for text in dataset[()]]
