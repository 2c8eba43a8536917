"""Reports of problems: throttled log lines, counters, and the log lines of the library."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.logging import LoggingSeverity

from msga_ros.foreign_text import shown
from msga_ros.stream.statistics import Statistics, Throttle

Arguments = ParamSpec("Arguments")
# Of a whole line: what is foreign in it has been cut where it came in (`foreign_text`), and this is
# for what was overlooked.
_MOST_CHARACTERS = 1000
UNEXPECTED = "unexpected exception"


class Reporter:
    """Logs complaints at most once in 5 s for each kind and topic, and counts them all."""

    def __init__(self, logger: RcutilsLogger, statistics: Statistics) -> None:
        self._logger = logger
        self._statistics = statistics
        self._throttle = Throttle(5.0)

    def complain(self, kind: str, topic: str, text: str) -> None:
        """Something is wrong with what came in on `topic`."""
        line = shown(f"{topic}: {text}", _MOST_CHARACTERS)
        self._statistics.bad_input(kind, line)
        more = self._throttle.admit(f"{kind} {topic}")
        if more is not None:
            self._logger.warning(line + _more(more))

    def exception(self, place: str, error: Exception) -> None:
        """An unexpected exception in `place`; the node goes on."""
        text = shown(f"{type(error).__name__}: {error}")
        self._statistics.error(place, text)
        more = self._throttle.admit(f"exception {place} {type(error).__name__}")
        if more is not None:
            self._logger.error(f"{UNEXPECTED} in {place}: {text}{_origin(error)}{_more(more)}")

    def guarded(self, place: str, callback: Callable[Arguments, None]) -> Callable[Arguments, None]:
        """`callback`, whose exceptions are counted for `place` instead of raised."""

        def guarded_callback(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as error:
                self.exception(place, error)

        return guarded_callback

    def detail(self, text: Callable[[], str]) -> None:
        """Log what `text` makes where the level debug is on."""
        if self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            self._logger.debug(text())

    def warn(self, key: str, text: str) -> None:
        """Log a warning, throttled by `key`."""
        if self._throttle.admit(key) is not None:
            self._logger.warning(text)


class LogForwarder(logging.Handler):
    """Hands the log lines of the library (`msga_ros.*`) to the log of the node."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._ros_logger = logger
        logging.getLogger("msga_ros").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log `record` with the matching severity."""
        text = shown(record.getMessage(), _MOST_CHARACTERS)
        if record.levelno >= logging.ERROR:
            self._ros_logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._ros_logger.warning(text)
        else:
            self._ros_logger.info(text)

    def close(self) -> None:
        """Stop forwarding."""
        logging.getLogger("msga_ros").removeHandler(self)
        super().close()


def _origin(error: Exception) -> str:
    """The line of code that raised `error`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno}, {frames[-1].name})"


def _more(count: int) -> str:
    return f" (and {count} more like this before)" if count else ""
