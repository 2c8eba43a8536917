"""One descriptor for a whole image: VLAD over the local descriptors of a front end.

Residuals to the nearest centre are added up for each centre (Jegou et al., CVPR 2010) and
normalised for each centre (Arandjelovic and Zisserman, CVPR 2013), so that a repeated texture
counts once; the whole is reduced and whitened by principal components (Jegou and Chum, ECCV 2012).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

Array = NDArray[np.float32]

_NAMES = ("centres", "mean", "projection")
_PACKAGED = Path(__file__).parent / "vocabularies"


class VocabularyError(ValueError):
    """A vocabulary that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Vocabulary:
    """`centres` (K, D) of local descriptors of the front end `frontend`; `mean` (K * D,) and
    `projection` (E, K * D) of the principal components, whitened."""

    centres: Array
    mean: Array
    projection: Array
    frontend: str

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Raises `VocabularyError` or `OSError`."""
        try:
            with safe_open(path, framework="numpy") as file:
                centres, mean, projection = (
                    np.asarray(file.get_tensor(name), np.float32) for name in _NAMES
                )
                frontend = (file.metadata() or {}).get("frontend", "")
        except SafetensorError as error:
            raise VocabularyError(f"{path}: not a readable vocabulary ({error})") from None
        count = centres.size
        fits = centres.ndim == 2 and mean.shape == (count,) and projection.shape[1:] == (count,)
        if not fits or not all(np.isfinite(one).all() for one in (centres, mean, projection)):
            raise VocabularyError(f"{path}: its tables do not belong together")
        return cls(centres, mean, projection, frontend)

    def save(self, path: Path) -> None:
        """Half precision: the descriptor changes by less than it does with the next image."""
        tables = {name: getattr(self, name).astype(np.float16) for name in _NAMES}
        save_file(tables, path, metadata={"frontend": self.frontend})

    @property
    def length(self) -> int:
        """Entries of a global descriptor."""
        return len(self.projection)

    @cached_property
    def identity(self) -> str:
        """The same for the same tables: global descriptors of others cannot be compared."""
        tables = (np.ascontiguousarray(getattr(self, name)) for name in _NAMES)
        return hashlib.sha256(b"".join(one.tobytes() for one in tables)).hexdigest()[:16]

    def describe(self, descriptors: NDArray[np.generic]) -> Array:
        """The global descriptor (E,) of an image, of unit length; zeros where it has no features.

        `descriptors` (N, D) float32 of `frontend`. Raises `VocabularyError` for others.
        """
        width = self.centres.shape[1]
        if descriptors.dtype != np.float32 or descriptors.shape[1:] != (width,):
            raise VocabularyError(
                f"the vocabulary is of {self.frontend} (float32, {width} entries), not of "
                f"{descriptors.dtype} with {descriptors.shape[1:]}"
            )
        if not len(descriptors):
            return np.zeros(self.length, np.float32)
        raw = residual_sums(descriptors.astype(np.float32, copy=False), self.centres)
        return _unit(self.projection @ (raw - self.mean))


def residual_sums(descriptors: Array, centres: Array) -> Array:
    """(K * D,): residuals to the nearest of K centres, added up and normalised for each centre."""
    squares = np.einsum("kd,kd->k", centres, centres)
    nearest = np.argmin(squares - 2.0 * (descriptors @ centres.T), axis=1)
    sums = np.zeros_like(centres)
    np.add.at(sums, nearest, descriptors - centres[nearest])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return _unit((sums / np.maximum(lengths, np.finfo(np.float32).tiny)).ravel())


def principal_components(images: Array, count: int) -> tuple[Array, Array]:
    """Mean (L,) and whitening projection (`count`, L) of `images` (M, L), M more than `count`."""
    if len(images) <= count:
        raise VocabularyError(f"{len(images)} images do not tell {count} components")
    mean = images.mean(axis=0)
    _, values, axes = np.linalg.svd(images - mean, full_matrices=False)
    spread = values[:count, None] / np.sqrt(len(images) - 1)
    return mean, (axes[:count] / spread).astype(np.float32)


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length > 0 else vector.astype(np.float32)


def packaged_vocabulary(frontend: str = "sift") -> Vocabulary:
    """The vocabulary that comes with the package (docs/models/places_vocabulary.md).

    Raises `VocabularyError` for a front end that has none.
    """
    path = _PACKAGED / f"{frontend}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in _PACKAGED.glob("*.safetensors")))
        raise VocabularyError(f"there is no vocabulary of {frontend!r} (there is: {known})")
    return Vocabulary.load(path)
