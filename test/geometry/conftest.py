"""Property tests judge results, not how busy the machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("msga", deadline=None)
settings.load_profile("msga")
