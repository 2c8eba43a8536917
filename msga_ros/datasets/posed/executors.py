"""Ways to run the tasks of a dump: in this process, in several, or on a Ray cluster.

An executor takes tasks and yields the results of each as soon as it is done, in any order.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from types import ModuleType
from typing import Any

from msga_ros.datasets.posed.base import PosedImagesError
from msga_ros.datasets.posed.matching import Result, Task, work

Executor = Callable[[Sequence[Task]], Generator[list[Result]]]

_WAITING = 2  # tasks handed out for each worker: one at work, one at hand


def in_this_process(tasks: Sequence[Task]) -> Generator[list[Result]]:
    """One after the other."""
    for task in tasks:
        yield work(task)


def local(workers: int) -> Executor:
    """On this machine, in that many processes; 0: as many as there are processors."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = workers or free or 1
    return in_this_process if count == 1 else partial(_in_processes, count)


def ray_cluster(address: str, workers: int) -> Executor:
    """On the Ray cluster at that address, as `ray.init` takes it (`auto`, `HOST:PORT`, `ray://...`).

    `local` starts a cluster of `workers` processes on this machine. Otherwise `workers` bounds how
    many tasks run at once; 0: as many as the cluster has processors. The nodes need this package,
    and the images under the same paths.

    Raises:
        PosedImagesError: Ray is not installed, or there is no cluster at the address.
    """
    return partial(_on_ray, address, workers)


def _in_processes(count: int, tasks: Sequence[Task]) -> Generator[list[Result]]:
    # OpenCV's threads do not survive a fork of this process, so the workers are forked from a
    # server that has imported what they need and run none of it.
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload([work.__module__])
    with ProcessPoolExecutor(
        min(count, max(len(tasks), 1)), mp_context=context, initializer=end_with_parent
    ) as pool:
        remaining = iter(tasks)
        running: set[Future[list[Result]]] = set()
        try:
            while True:
                missing = _WAITING * count - len(running)
                running |= {pool.submit(work, task) for task in islice(remaining, missing)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent() -> None:
    """Let this worker end as soon as the process that it works for has, even by SIGKILL.

    A pool's worker waits for tasks at a pipe that its siblings hold open, too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends them
    parent = multiprocessing.parent_process()
    if parent is not None:
        monitor = threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True)
        monitor.start()


def _exit_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _on_ray(address: str, workers: int, tasks: Sequence[Task]) -> Generator[list[Result]]:
    ray = _connected(address, workers)
    limit = workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
    # A worker that dies (a node that goes away) costs no more than its task.
    remote = ray.remote(num_cpus=1, max_retries=3)(work)
    remaining = iter(tasks)
    running: list[Any] = []
    try:
        while True:
            missing = _WAITING * limit - len(running)
            running += [remote.remote(task) for task in islice(remaining, missing)]
            if not running:
                return
            done, running = ray.wait(running, num_returns=1)
            yield ray.get(done[0])
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _connected(address: str, workers: int) -> ModuleType:
    """The module `ray`, connected once a process."""
    try:
        import ray
    except ModuleNotFoundError:
        raise PosedImagesError("Ray is not installed: pip install 'msga_ros[ray]'") from None
    if ray.is_initialized():
        return ray
    options: dict[str, object] = {"address": address, "log_to_driver": False}
    if address == "local":
        options |= {"num_cpus": workers or None, "include_dashboard": False}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PosedImagesError(f"no Ray cluster at {address!r}: {reason}") from None
    return ray
