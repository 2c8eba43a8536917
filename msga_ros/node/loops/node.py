"""The managed node `msga_loops`: places seen before, a corrected path, where an image is from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from msga_ros.node.loops.diagnostics import LoopCondition, loop_diagnostics
from msga_ros.node.loops.resources import LoopResources
from msga_ros.node.loops.services import LOOP_SERVICES
from msga_ros.node.managed_node import ManagedNode
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.loops.counts import LoopCounts
from msga_ros.stream.loops.map_file import MapFile, OpensMap
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.model_loading import Model, load_model
from msga_ros.stream.statistics import Snapshot
from msga_ros.two_view.config import PipelineConfig


class LoopsNode(ManagedNode[LoopSettings, LoopResources]):
    """Loops of one camera, by its images and any odometry.

    `load` makes the model from a configuration, `open_map` the map over it; tests give their own.
    `stop`, once set, breaks loading off. Raises `SettingsError` for parameters that cannot be.
    """

    def __init__(
        self,
        load: Callable[[PipelineConfig], Model] = load_model,
        stop: threading.Event | None = None,
        open_map: OpensMap = MapFile,
        **node_arguments: Any,
    ) -> None:
        self._open_map = open_map
        self._counts = LoopCounts()
        super().__init__(
            "msga_loops",
            LoopSettings,
            lambda now: now.inputs,
            LOOP_SERVICES,
            load,
            stop,
            **node_arguments,
        )

    def _read_calibration(self, settings: LoopSettings) -> CalibrationFiles:
        file, rectified = settings["calibration"], settings["rectified"]
        if settings["stereo.use"]:
            right = settings["right/calibration"]
            return CalibrationFiles.of_camera_and_right(file, right, rectified)
        return CalibrationFiles.of_one_camera(file, rectified)

    def _make_resources(self, model: Model) -> LoopResources:
        opened = self._open_map(model, self.settings)
        try:
            return LoopResources(
                self,
                model,
                opened,
                {**self._topics, **self._calibration.sources},
                lambda: self.settings,
                self._statistics,
                self._counts,
                self._reporter,
                self._calibration.infos,
            )
        except BaseException:
            opened.close()
            raise

    def _configured_as(self, settings: LoopSettings) -> str:
        held = self._counts.snapshot()
        where = f"in {settings['map.file']}" if settings["map.file"] else "in no file"
        return f"{settings['frontend.name']}, {held.keyframes} keyframes {where}"

    def _forget(self) -> str:
        if self._resources is not None:
            self._resources.forget()
        return "what waits for its odometry is forgotten; the map stays"

    def _diagnostics_message(self, now: Snapshot) -> DiagnosticArray:
        settings, held = self.settings, self._resources
        condition = LoopCondition(
            node=self._condition(now),
            odometry_source=settings["odometry.source"] if held is None else held.odometry.source,
            odometry_received=0 if held is None else now.received.get(held.odometry.topic, 0),
            map_file=settings["map.file"] if held is None else held.session.file,
            optimise=settings.loops.optimise,
            tf_problem="" if held is None else held.problem,
            loops=self._counts.snapshot(),
        )
        name, stamp = self.get_fully_qualified_name(), self.get_clock().now().to_msg()
        return loop_diagnostics(name, stamp, condition, now)
