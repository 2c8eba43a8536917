"""`~/locate`, `~/save_map` and `~/load_map`: their work, and their answers as responses."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from msga_ros.node.loops.messages import edge_message, located_message
from msga_ros.node.loops.resources import LoopResources
from msga_ros.node.request_messages import refusal_message
from msga_ros.node.request_services import Service
from msga_ros.srv import LoadMap, Locate, SaveMap
from msga_ros.stream.loops.session import (
    LoadAsked,
    LoadedMap,
    LocateAsked,
    Located,
    LoopSession,
    SaveAsked,
)
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.requests import Answer


@dataclass(frozen=True)
class _Found:
    """A place, and what its response needs besides."""

    located: Located
    session: LoopSession
    map_frame: str


def _locate(
    held: LoopResources, asked: LocateAsked, settings: LoopSettings
) -> Generator[None, None, _Found]:
    located = yield from held.session.locate(asked, settings)
    return _Found(located, held.session, settings.frame("map.frame"))


def _save(
    held: LoopResources, asked: SaveAsked, settings: LoopSettings
) -> Generator[None, None, int]:
    return held.session.save(asked)


def _load(
    held: LoopResources, asked: LoadAsked, settings: LoopSettings
) -> Generator[None, None, LoadedMap]:
    found = yield from held.session.load(asked)
    held.map_replaced()
    return found


def _located_response(kind: Any, answer: Answer[_Found]) -> Any:
    response = refusal_message(kind, answer)
    if answer.outcome is None:
        return response
    located, location = answer.outcome.located, answer.outcome.located.location
    response.found = location.found
    response.located = located.pose is not None
    response.pose = located_message(located, answer.outcome.map_frame)
    response.message = location.reason
    if location.edge is not None:
        edge, frame = location.edge, located.header.frame_id
        response.edge = edge_message(edge, answer.outcome.session, frame, None)
        response.edge.header = located.header
        text = f"keyframe {edge.reference} shows the same, {edge.inliers} matches agree"
        response.message = "; ".join(filter(None, (text, location.reason)))
    return response


def _saved_response(kind: Any, answer: Answer[int]) -> Any:
    response = refusal_message(kind, answer)
    if answer.outcome is not None:
        response.keyframes = answer.outcome
        response.message = f"{answer.outcome} keyframes and their loops"
    return response


def _loaded_response(kind: Any, answer: Answer[LoadedMap]) -> Any:
    response = refusal_message(kind, answer)
    if answer.outcome is not None:
        found = answer.outcome
        response.keyframes, response.loops = found.keyframes, found.loops
        text = f"{found.keyframes} keyframes, {found.loops} loops"
        response.message = "; ".join((text, *found.damage))
    return response


LOOP_SERVICES = (
    Service("locate", Locate, _locate, _located_response),
    Service("save_map", SaveMap, _save, _saved_response),
    Service("load_map", LoadMap, _load, _loaded_response),
)
