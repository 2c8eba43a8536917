"""Structure of the network; the defaults are the published one."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.network.evidence import EVIDENCE

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
                f"not {', '.join(map(str, self.evidence_names))}"
            )
        if self.channels % self.heads:
            raise ValueError(f"channels ({self.channels}) must be a multiple of heads")
        if len(self.neighbours) != 2 or any(k < 3 or k % 3 for k in self.neighbours):
            raise ValueError(f"neighbours must be two multiples of 3, not {self.neighbours}")
        if not 0 < self.keep < 1:
            raise ValueError(f"keep must be between 0 and 1, not {self.keep}")
        if min(self.channels, self.grid, self.heads) < 1:
            raise ValueError("channels, grid and heads must be positive")
        if self.gate not in ("aff", "se"):
            raise ValueError(f"gate must be aff or se, not {self.gate!r}")
        if min(self.residual_blocks, self.msformer_layers) < 0:
            raise ValueError("residual_blocks and msformer_layers must not be negative")

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
