"""The managed node `msga`: receives messages, hands them to the worker, publishes the results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from msga_ros.node.configured_resources import ConfiguredResources
from msga_ros.node.diagnostics import Condition, diagnostics_message
from msga_ros.node.managed_node import ManagedNode
from msga_ros.node.motion_diagnostics import OdometryCondition
from msga_ros.node.request_services import SERVICES
from msga_ros.node.streamed_pairs import streams_pairs
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.model_loading import Model, load_model
from msga_ros.stream.settings import Settings
from msga_ros.stream.statistics import Snapshot
from msga_ros.two_view.config import PipelineConfig


class MsgaNode(ManagedNode[Settings, ConfiguredResources]):
    """Correspondences and relative pose from stereo pairs or one camera over time, or with depth.

    `load` makes the model from a configuration; tests give their own. `stop`, once set, breaks it
    off. Raises `SettingsError` for parameters that cannot be.
    """

    def __init__(
        self,
        load: Callable[[PipelineConfig], Model] = load_model,
        stop: threading.Event | None = None,
        **node_arguments: Any,
    ) -> None:
        super().__init__(
            "msga",
            Settings,
            lambda settings: settings.inputs,
            SERVICES,
            load,
            stop,
            **node_arguments,
        )

    def _read_calibration(self, settings: Settings) -> CalibrationFiles:
        return CalibrationFiles.read(settings)

    def _make_resources(self, model: Model) -> ConfiguredResources:
        return ConfiguredResources(
            self,
            model,
            {**self._topics, **self._calibration.sources},
            lambda: self.settings,
            self._statistics,
            self._reporter,
            self._request_counts,
            self._calibration.infos,
        )

    def _configured_as(self, settings: Settings) -> str:
        return f"{settings['mode']}, {settings['frontend.name']}"

    def _forget(self) -> str:
        return "synchroniser and reference view are forgotten"

    def _silence(self, now: Snapshot) -> str:
        if streams_pairs(self.settings):
            return ""  # images need not come
        return super()._silence(now)

    def _diagnostics_message(self, now: Snapshot) -> DiagnosticArray:
        settings = self.settings
        second = settings.pipeline.second_frontend
        condition = Condition(
            node=self._condition(now),
            mode=settings["mode"],
            idle=self._resources is not None and not self._resources.wanted,
            odometry=OdometryCondition(
                settings["odometry.run"],
                self._resources.motion_problem if self._resources is not None else "",
                settings["odometry.max_sigma_m"],
                settings["odometry.max_sigma_deg"],
                settings["odometry.min_inliers"],
            ),
            rig_tolerance_px=settings["rig.tolerance_px"],
            second=second.name if second.asked else "",
        )
        name, stamp = self.get_fully_qualified_name(), self.get_clock().now().to_msg()
        return diagnostics_message(name, stamp, condition, now)
