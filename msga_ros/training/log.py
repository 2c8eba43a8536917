"""Log of a training: a CSV file, and events for TensorBoard where that is installed."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msga_ros.whole_files import append_whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_LOGGER = logging.getLogger(__name__)


class TrainingLog:
    """One row of figures an iteration, kept until `flush`.

    What is flushed together with a checkpoint is never written twice by a run that goes on from it.
    """

    def __init__(self, folder: Path, tensorboard: bool) -> None:
        self._path = folder / "log.csv"
        self._folder = folder
        self._rows: list[Mapping[str, float]] = []
        self._tensorboard = tensorboard
        self._writer: SummaryWriter | None = None

    def add(self, figures: Mapping[str, float]) -> None:
        """Figures of one iteration, `iteration` among them."""
        self._rows.append(figures)

    def flush(self) -> None:
        """Write what was added since the last time."""
        if not self._rows:
            return
        self._append()
        if self._tensorboard:
            self._write_events()
        self._rows = []

    def _append(self) -> None:
        # A file that an older version began keeps its columns.
        new = not self._path.exists() or not self._path.stat().st_size
        columns = list(self._rows[0])
        if not new:
            with self._path.open(newline="") as file:
                columns = next(csv.reader(file))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerows(self._rows)
        append_whole(self._path, text.getvalue())

    def _write_events(self) -> None:
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                _LOGGER.warning(
                    "no TensorBoard log (pip install 'msga_ros[tensorboard]'); the CSV file has all"
                )
                self._tensorboard = False
                return
            first = int(self._rows[0]["iteration"])
            # Events of iterations that a killed run had done and this one repeats are dropped.
            self._writer = SummaryWriter(str(self._folder), purge_step=first)
        for row in self._rows:
            for name, value in row.items():
                if name != "iteration":
                    self._writer.add_scalar(name, value, int(row["iteration"]))
        self._writer.flush()

    def close(self) -> None:
        """Write the rest and close the files."""
        self.flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
