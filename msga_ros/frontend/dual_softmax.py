"""How probable a match is among all the pairs that its two descriptors are in.

The product of a softmax over each row and one over each column of the table of similarities, of
Rocco et al., "Neighbourhood consensus networks", NeurIPS 2018, as matching takes it in Sun et al.,
"LoFTR", CVPR 2021; here of negative squared distances over a temperature, and as a logarithm.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from msga_ros.frontend.base import LEAST_DUAL_SOFTMAX, FrontendError

# Of exponentials that are normal numbers of float32: others take many times as long to add. Sums of
# which a term is above exp(-64) do not notice.
_LEAST_EXPONENT = np.float32(-86.0)
_SAFE_EXPONENT = 64.0
_LEAST_TEMPERATURE = 1e-12  # squared distances over it are still numbers of float32


def temperature_of_table(temperature: float, bits: int = 0) -> float:
    """`temperature` for a table of squared Euclidean distances or, of so many `bits`, Hamming ones.

    Raises:
        FrontendError: `temperature` is not finite, or below 1e-12.
    """
    if not _LEAST_TEMPERATURE <= temperature < math.inf:
        raise FrontendError(f"the temperature must be finite and at least 1e-12, not {temperature}")
    return temperature * bits if bits else temperature  # distances count as shares of the bits


class DualSoftmaxSums:
    """Sums of the exponentials of a table (N, M) along both of its sides, a block at a time."""

    def __init__(self, count0: int, count1: int, temperature: float, rows: int) -> None:
        """For N, M descriptors and blocks of at most `rows`."""
        self._temperature = temperature
        self._rows = np.empty(count0)
        self._columns = np.full(count1, -np.inf)
        self._memory = np.empty((rows, count1), np.float32)
        self._ones0, self._ones1 = np.ones(rows, np.float32), np.ones(count1, np.float32)

    def add(
        self,
        block: slice,
        table: NDArray[np.float32],
        least_of_rows: NDArray[np.float32],
        least_of_columns: NDArray[np.float32],
    ) -> None:
        """The rows `block` of the table, (n, M), with the least of its rows (n,), columns (M,)."""
        temperature, height = self._temperature, len(table)
        terms = self._exponentials(least_of_rows[:, None], table)
        self._rows[block] = np.log(terms @ self._ones1) - _over(least_of_rows, temperature)

        origin = least_of_rows.min()
        if _over(least_of_columns.max() - origin, temperature) <= _SAFE_EXPONENT:
            # The same exponentials will do, each row weighted by its own least distance.
            weights = np.exp(_over(origin - least_of_rows, temperature)).astype(np.float32)
        else:
            terms = self._exponentials(least_of_columns, table)
            weights, origin = self._ones0[:height], least_of_columns
        sums = np.log(weights @ terms) - _over(origin, temperature)
        np.logaddexp(self._columns, sums, out=self._columns)

    def _exponentials(
        self, least: NDArray[np.float32], table: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """exp((least - table) / temperature), until the next ones are asked for."""
        terms = self._memory[: len(table)]
        np.subtract(least, table, out=terms)
        np.multiply(terms, np.float32(1.0 / self._temperature), out=terms)
        np.maximum(terms, _LEAST_EXPONENT, out=terms)
        cv2.exp(terms, terms)  # three times as fast as NumPy's
        return terms

    def logarithms(
        self, nearest: NDArray[np.int64], best: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`Matches.dual_softmax` of each row's match with column `nearest` (N,), whose entry in
        the table is `best` (N,)."""
        return logarithms(best, self._rows, self._columns[nearest], self._temperature)


def log_sums(table: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Logarithm of the sum of exp(-table / temperature) of each row of (N, M); M at least 1."""
    least = table.min(axis=1)
    terms = np.exp((least[:, None] - table) * np.float32(1.0 / temperature))
    return np.asarray(np.log(terms.sum(axis=1)) - _over(least, temperature))


def logarithms(
    entries: NDArray[np.float32],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.float32]:
    """`Matches.dual_softmax` (N,) of matches with `entries` in the table; `log_sums` of the row and
    of the column that each of them is in."""
    logarithm = -2.0 * _over(entries, temperature) - rows - columns
    return logarithm.clip(LEAST_DUAL_SOFTMAX, 0.0).astype(np.float32)


def _over(values: NDArray[np.float32] | np.float32, temperature: float) -> NDArray[np.float64]:
    return np.asarray(values, np.float64) / temperature
