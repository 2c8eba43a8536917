"""Structure of the detector-free matcher."""

from __future__ import annotations

from dataclasses import dataclass

from msga_ros.foreign_text import shown

BACKBONES = ("light", "resnet34")
ASSIGNMENTS = ("dual_softmax", "sinkhorn")
LEVELS = ("quarter", "half", "full")  # of the refinement, coarsest first
COARSE, QUARTER, HALF = 8, 4, 2  # pixels along a side of a cell

# Least and most of each size. A checkpoint is foreign input, and the network is built before its
# tensors are compared.
_RANGES = {
    "coarse_channels": (8, 512),
    "quarter_channels": (4, 256),
    "half_channels": (4, 256),
    "full_channels": (1, 32),
    "patch_channels": (8, 512),
    "cell_channels": (8, 512),
    "edge_channels": (4, 512),
    "heads": (1, 32),
    "patch_layers": (0, 16),
    "cell_layers": (0, 16),
    "neighbours": (1, 64),
    "cell_neighbours": (1, 64),
    "sinkhorn_iterations": (1, 100),
    "quarter_radius": (1, 8),
    "half_radius": (1, 8),
    "patch_radius": (2, 12),
    "alignment_steps": (1, 10),
}


@dataclass(frozen=True)
class DenseConfig:
    """Sizes and switches; a checkpoint carries its own. The switches are for ablations."""

    backbone: str = "light"  # or resnet34: better for a GPU, seconds an image on a CPU
    coarse_channels: int = 64  # of the features at 1/8
    quarter_channels: int = 32
    half_channels: int = 24
    full_channels: int = 2  # learned ones beside the grey level
    patch_channels: int = 96  # of the graph's nodes: patches of 2 x 2 cells
    cell_channels: int = 32  # and cells
    edge_channels: int = 32  # in which neighbours are chosen
    heads: int = 4
    patch_layers: int = 3  # of graph attention between patches
    cell_layers: int = 1  # between cells, among the children of the patches' neighbours
    neighbours: int = 12  # of each kind that a patch attends to
    cell_neighbours: int = 6  # and that a cell attends to
    inner_edges: bool = True  # within an image
    cross_edges: bool = True  # from one image to the other
    assignment: str = "dual_softmax"  # or sinkhorn
    sinkhorn_iterations: int = 10
    anchored: bool = True  # a cell's point is where its structure is strongest; False: its centre
    levels: tuple[str, ...] = LEVELS  # of the refinement
    quarter_radius: int = 3  # cells to each side that are searched
    half_radius: int = 2
    patch_radius: int = 5  # pixels to each side that are aligned
    alignment_steps: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # a list, where it is from JSON
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(
                    f"{name} must be a whole number from {least} to {most}, not {shown(value)}"
                )
        for name, choices in (("backbone", BACKBONES), ("assignment", ASSIGNMENTS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be {' or '.join(choices)}, not {shown(getattr(self, name))!r}"
                )
        for name in ("inner_edges", "cross_edges", "anchored"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {shown(getattr(self, name))}")
        if self.cell_layers and not self.patch_layers:
            raise ValueError("cell_layers need patch_layers: cells choose among what patches found")
        if self.patch_channels % self.heads or self.cell_channels % self.heads:
            raise ValueError("patch_channels and cell_channels must be multiples of heads")
        if tuple(level for level in LEVELS if level in self.levels) != self.levels:
            raise ValueError(
                f"levels must be some of {', '.join(LEVELS)} in that order, "
                f"not {shown(', '.join(map(str, self.levels)))}"
            )
