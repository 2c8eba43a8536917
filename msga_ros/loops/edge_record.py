"""A loop, accepted or taken back, as bytes and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from msga_ros.loops.reports import LoopEdge, ScaleSource
from msga_ros.odometry.poses import UncertainPose
from msga_ros.two_view.result import Status


class EdgeError(ValueError):
    """Bytes that are no loop."""


@dataclass(frozen=True)
class EdgeRecord:
    """`edge`, with the keyframes named by the places of their records in the file, which stay the
    same whatever befalls other records; `holds` False: it is taken back from here on."""

    edge: LoopEdge
    holds: bool

    def renumbered(self, numbers: dict[int, int]) -> EdgeRecord | None:
        """With other names of the keyframes; None where one of them has none."""
        reference, current = (numbers.get(one) for one in (self.edge.reference, self.edge.current))
        if reference is None or current is None:
            return None
        return replace(self, edge=replace(self.edge, reference=reference, current=current))

    def to_bytes(self) -> bytes:
        """JSON; numbers come back as they were."""
        edge = self.edge
        text = {
            "holds": self.holds,
            "keyframes": [edge.reference, edge.current],
            "stamps": [edge.reference_stamp, edge.current_stamp],
            "rotation": edge.pose.rotation.ravel().tolist(),
            "position": edge.pose.position.tolist(),
            "covariance": edge.pose.covariance.ravel().tolist(),
            "inliers": edge.inliers,
            "scale": edge.scale.value,
            "status": int(edge.status),
            "similarity": edge.similarity,
            "support": edge.support,
        }
        return json.dumps(text).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> EdgeRecord:
        """Raises `EdgeError`."""
        try:
            text = json.loads(data)
            pose = UncertainPose(
                np.array(text["rotation"], np.float64).reshape(3, 3),
                np.array(text["position"], np.float64).reshape(3),
                np.array(text["covariance"], np.float64).reshape(6, 6),
            )
            reference, current = text["keyframes"]
            first, last = text["stamps"]
            edge = LoopEdge(
                reference,
                current,
                first,
                last,
                pose,
                text["inliers"],
                ScaleSource(text["scale"]),
                Status(text["status"]),
                text["similarity"],
                text["support"],
            )
            return cls(edge, text["holds"])
        except (KeyError, ValueError, TypeError) as error:
            raise EdgeError(f"no loop: {error}") from None
