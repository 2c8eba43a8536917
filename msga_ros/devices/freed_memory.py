"""Memory that was freed stays with the process, where its allocator is glibc's.

By itself glibc gives the end of its heap back to the system as soon as some megabytes are free. A
network on the CPU makes and drops maps of megabytes all the time, and each page that it gets anew
is a fault in the kernel: a tenth of the time of the detector-free matcher.
"""

from __future__ import annotations

import ctypes
import functools
import os

_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_OF_THE_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
_KEPT = 512 << 20  # bytes
_LARGEST = 32 << 20  # what is larger is always given back; glibc takes no more


@functools.cache
def keep_freed_memory() -> bool:
    """Keep up to 512 MB that are free, of the whole process; whether that was done.

    Not with another C library, nor where the environment sets glibc's thresholds itself.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "_threshold" in tunables or any(name in os.environ for name in _OF_THE_ENVIRONMENT):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc, or not even a C library
        return False
    return bool(set_option(_MAP_THRESHOLD, _LARGEST) and set_option(_TRIM_THRESHOLD, _KEPT))
