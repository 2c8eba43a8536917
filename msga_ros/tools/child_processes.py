"""Processes that demo and benchmark start: each in a session of its own, ended by its own id."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

_PATIENCE = (  # signal, seconds to wait for the end
    (signal.SIGINT, 8.0),
    (signal.SIGTERM, 4.0),
    (signal.SIGKILL, 4.0),
)


class Child:
    """`python -m module arguments` with its output in `log`; a context that ends the process."""

    def __init__(
        self, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = module
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                # `python -m` imports from the working directory first: let that hold nothing else
                # than the log, and keep the terminal's Ctrl-C for us, who pass it on.
                cwd=log.parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: ask, then insist. Returns when it is gone."""
        for number, seconds in _PATIENCE:
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue

    def last_lines(self, count: int = 8) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace")
        return "\n".join(text.strip().splitlines()[-count:])


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that SIGINT (Ctrl-C) and SIGTERM set.

    Only the watching looks at it: an exception out of a signal handler could come between the start
    of a process and the line that knows of it, and the process would stay behind.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: interrupted.set()) for number in numbers]
    try:
        yield interrupted
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def parameter_arguments(parameters: Mapping[str, object]) -> list[str]:
    """`--ros-args -p name:=value ...`; strings are quoted, so that they stay strings."""
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        if isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, str):
            text = "'" + value.replace("'", "''") + "'"
        else:
            text = repr(value)
        arguments += ["-p", f"{name}:={text}"]
    return arguments
