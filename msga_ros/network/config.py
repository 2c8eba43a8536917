"""Structure of the network; the defaults are the published one."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.foreign_text import shown
from msga_ros.network.evidence import EVIDENCE

# Least and most of each size; far beyond what was ever trained, far below what stops a machine. A
# checkpoint is foreign input, and the network is built before its tensors are compared.
_RANGES: dict[str, tuple[int, int]] = {
    "channels": (1, 2048),
    "residual_blocks": (0, 64),
    "grid": (1, 128),
    "msformer_layers": (0, 64),
    "heads": (1, 256),
}
_MOST_NEIGHBOURS = 96
_LEAST_KEPT = 0.05
_SWITCHES = (
    "interaction",
    "context",
    "verification",
    "hartley",
    "residual_input",
    "dynamic_graphs",
)

_FIRST_EVIDENCE = EVIDENCE[:2]  # what `evidence: true` means, in older checkpoints too


@dataclass(frozen=True)
class MSGANetConfig:
    """Sizes of MSGA-Net. A checkpoint of ours carries its own."""

    channels: int = 128  # width of the features
    neighbours: tuple[int, int] = (9, 6)  # of each graph, in the first and the second module
    residual_blocks: int = 4  # before the shallow graph, and again before the deeper one
    grid: int = 16  # side of the grid of clusters
    msformer_layers: int = 2  # on that grid
    heads: int = 4  # of their channel attention
    keep: float = 0.5  # share of the matches that each module keeps
    gate: str = "aff"  # of those layers: aff, or se (squeeze-and-excitation)
    interaction: bool = True  # sparse dynamic graph interaction; False: both graphs' features added
    context: bool = True  # global context (clusters and MSFormer); False: none
    verification: bool = True  # full-size; False: what the modules dropped stays dropped
    # Not published:
    hartley: bool = False  # normalise the points before the eight-point solution
    # What the network sees of a match beside its coordinates: entries of `EVIDENCE`, in that order.
    # True: ratio and mutual; False: nothing.
    evidence: tuple[str, ...] | bool = ()
    residual_input: bool = False  # the second module sees residuals to the first one's solution
    dynamic_graphs: bool = True  # False: one graph a module, on its first features (fast)

    def __post_init__(self) -> None:
        names = self.evidence
        if isinstance(names, bool):
            names = _FIRST_EVIDENCE if names else ()
        object.__setattr__(self, "evidence", tuple(names))  # a list, where it comes from JSON
        if tuple(name for name in EVIDENCE if name in self.evidence_names) != self.evidence_names:
            raise ValueError(
                f"evidence must be some of {', '.join(EVIDENCE)} in that order, "
                f"not {shown(', '.join(map(str, self.evidence_names)))}"
            )
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(
                    f"{name} must be a whole number from {least} to {most}, not {shown(value)}"
                )
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {shown(getattr(self, name))}")
        if self.channels % self.heads:
            raise ValueError(f"channels ({self.channels}) must be a multiple of heads")
        if len(self.neighbours) != 2 or any(
            type(k) is not int or not 3 <= k <= _MOST_NEIGHBOURS or k % 3 for k in self.neighbours
        ):
            raise ValueError(
                f"neighbours must be two multiples of 3, at most {_MOST_NEIGHBOURS}, "
                f"not {shown(self.neighbours)}"
            )
        if type(self.keep) not in (int, float) or not _LEAST_KEPT <= self.keep < 1:
            raise ValueError(f"keep must be from {_LEAST_KEPT} to below 1, not {shown(self.keep)}")
        if self.gate not in ("aff", "se"):
            raise ValueError(f"gate must be aff or se, not {shown(self.gate)!r}")

    @property
    def evidence_names(self) -> tuple[str, ...]:
        """The entries of `EVIDENCE` that the network sees."""
        assert not isinstance(self.evidence, bool)
        return tuple(self.evidence)

    @property
    def min_matches(self) -> int:
        """Fewest matches from which enough survive: eight for the essential matrix, and as many in
        the second module as it wants neighbours."""
        count = 8
        while (
            int(int(count * self.keep) * self.keep) < 8
            or int(count * self.keep) < self.neighbours[1]
            or count < self.neighbours[0]
        ):
            count += 1
        return count
