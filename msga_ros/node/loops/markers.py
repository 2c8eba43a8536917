"""`~/loops`: keyframes and loops for RViz, in the frame of the map."""

from __future__ import annotations

from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from msga_ros.stream.loops.session import LoopSession

# Colours that a colour-blind person can tell apart (Okabe and Ito).
_KEYFRAMES = ColorRGBA(r=0.0, g=0.447, b=0.698, a=1.0)
_LOOPS = ColorRGBA(r=0.902, g=0.624, b=0.0, a=1.0)
_UNSCALED = ColorRGBA(r=0.8, g=0.475, b=0.655, a=1.0)


def loop_markers(session: LoopSession, header: Header, size: float) -> MarkerArray:
    """Keyframes as points of `size` metres, a loop as a line between two of them: orange, or
    pink where its length is unknown. Keyframes without a pose, and their loops, are left out."""
    places = {one.number: one.pose.centre for one in session.keyframes() if one.pose is not None}
    cloud = _marker(header, "keyframes", Marker.POINTS, size, _KEYFRAMES, list(places.values()))
    cloud.scale.y = size
    lines: dict[bool, list[NDArray]] = {True: [], False: []}
    for edge in session.edges:
        if edge.reference in places and edge.current in places:
            lines[edge.metric] += [places[edge.reference], places[edge.current]]
    return MarkerArray(
        markers=[
            cloud,
            _marker(header, "loops", Marker.LINE_LIST, size / 3, _LOOPS, lines[True]),
            _marker(header, "unscaled", Marker.LINE_LIST, size / 3, _UNSCALED, lines[False]),
        ]
    )


def _marker(
    header: Header, name: str, kind: int, width: float, colour: ColorRGBA, points: list[NDArray]
) -> Marker:
    # A marker without points is an error for RViz; one that was there has to go.
    action = Marker.ADD if points else Marker.DELETE
    marker = Marker(header=header, ns=name, id=0, type=kind, action=action, color=colour)
    marker.pose.orientation.w = 1.0
    marker.scale.x = width
    marker.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in points]
    return marker
