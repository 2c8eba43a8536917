"""What the managed nodes of the package have in common: lifecycle, reception, diagnostics."""

from __future__ import annotations

import gc
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.node.clocks import on_jump_back, steady_clock
from msga_ros.node.diagnostics import NodeCondition
from msga_ros.node.inputs import input_topic
from msga_ros.node.parameters import Parameters
from msga_ros.node.reception import Reception
from msga_ros.node.reporting import LogForwarder, Reporter
from msga_ros.node.request_services import RequestServices, Service
from msga_ros.node.resources import Resources
from msga_ros.node.transitions import guard_transitions, guarded_service, reason, reported
from msga_ros.stream.calibration_files import CalibrationFiles
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.model_loading import InterruptibleLoading, Model, load_model
from msga_ros.stream.node_settings import NodeSettings, SettingsError
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.statistics import Snapshot, Statistics
from msga_ros.two_view.config import PipelineConfig

_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE


Of = TypeVar("Of", bound=NodeSettings)
Held = TypeVar("Held", bound=Resources)


class ManagedNode(LifecycleNode, Generic[Of, Held]):
    """A node that configures and activates itself, receives sets of messages and hands them on.

    `name`: of the node where nobody gives another. `kind`: its settings; `inputs`: names of the
    messages of a set, by the settings; `services`: those that the resources do the work of. `load`
    makes the model from a configuration; tests give their own. `stop`, once set, breaks it off.
    Raises `SettingsError` for parameters that cannot be.
    """

    def __init__(
        self,
        name: str,
        kind: type[Of],
        inputs: Callable[[Of], Sequence[str]],
        services: Sequence[Service[Held, Of]],
        load: Callable[[PipelineConfig], Model] = load_model,
        stop: threading.Event | None = None,
        **node_arguments: Any,
    ) -> None:
        super().__init__(name, **node_arguments)
        self._loading = InterruptibleLoading(load, stop or threading.Event())
        self._statistics = Statistics()
        self._request_counts = RequestCounts()
        self._reporter = Reporter(self.get_logger(), self._statistics)
        self._log_forwarder = LogForwarder(self.get_logger())
        self._resources: Held | None = None
        self._failure = ""
        self._calibration = CalibrationFiles()

        guarded = self._reporter.guarded
        self._params = Parameters(self, kind, self._on_parameters, self._reporter.exception)
        settings = self.settings
        self._topics = {
            one: input_topic(self, one, settings.transport(one)) for one in inputs(settings)
        }
        self._reception = Reception(
            self, self._topics, self._statistics, self._reporter, self._on_set
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = steady_clock()
        period = settings["publish.diagnostics_period"]
        self._diagnostics_timer = self.create_timer(
            period, guarded("diagnostics timer", self._on_timer), clock=steady
        )
        jumped_back = guarded("clock callback", self._reception.jumped_back)
        self._jump_handle = on_jump_back(self, settings["sync.jump_back"], jumped_back)
        guard_transitions(self)
        self._reset_service = self.create_service(
            Trigger, "~/reset", guarded_service(self._reporter, "reset service", self._on_reset)
        )
        RequestServices(
            self,
            services,
            lambda: self._resources if self._reception.active else None,
            lambda: self.settings,
            self._request_counts,
            self._reporter,
        )
        self._start_timer = None
        if settings["autostart"]:
            self._start_timer = self.create_timer(
                0.0, guarded("start timer", self._autostart), clock=steady
            )

    @property
    def settings(self) -> Of:
        """The parameters in force."""
        return self._params.settings

    @property
    def state(self) -> str:
        """The lifecycle state: unconfigured, inactive, active, finalized or a transition."""
        return str(self._state_machine.current_state[1])

    def close(self) -> None:
        """Shut down in whatever state the node is; the item in hand is finished first."""
        if self.state in ("unconfigured", "inactive", "active"):
            self.trigger_shutdown()
        self._log_forwarder.close()

    @property
    def still_loading(self) -> bool:
        """Whether a model is still being made for a configuration that was given up."""
        return self._loading.left_behind

    def report_exception(self, place: str, error: Exception) -> None:
        """Count and log what a callback did not catch."""
        self._reporter.exception(place, error)

    # What each node has of its own.

    @abstractmethod
    def _read_calibration(self, settings: Of) -> CalibrationFiles:
        """The calibration files that the parameters name. Raises `CalibrationError`."""

    @abstractmethod
    def _make_resources(self, model: Model) -> Held:
        """What is held while the node is configured. Raises the reason why it cannot be."""

    @abstractmethod
    def _configured_as(self, settings: Of) -> str:
        """In a few words, for the log."""

    @abstractmethod
    def _forget(self) -> str:
        """By the service `~/reset`: forget what belongs to the stream; what that was, in words."""

    @abstractmethod
    def _diagnostics_message(self, now: Snapshot) -> DiagnosticArray:
        """All statuses of the node."""

    # Transitions. rclpy swallows an exception in one, so each says what went wrong.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and run it once; FAILURE with a reason in log and diagnostics."""
        settings = self.settings
        started = time.monotonic()
        try:
            self._calibration = self._read_calibration(settings)
            model = self._loading.load(settings.pipeline)
            self._resources = self._make_resources(model)
        except Exception as error:
            return self._failed("configure", error)
        self._failure = ""
        # What stays until `cleanup` is not looked through again: that takes a tenth of a second, in
        # which frames wait.
        gc.collect()
        gc.freeze()
        result: TransitionCallbackReturn = super().on_configure(state)
        self.get_logger().info(
            f"configured in {time.monotonic() - started:.1f} s: {self._configured_as(settings)}, "
            f"{model.source} on {model.device}, matching on {model.matching_device}"
        )
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publishers first, then the subscriptions."""
        result: TransitionCallbackReturn = super().on_activate(state)
        try:
            if self._resources is not None:
                self._resources.start()
            self._reception.start(self.settings, self._calibration.sources)
        except Exception as error:  # a QoS override that cannot be
            if self._resources is not None:
                self._resources.drain()
            super().on_deactivate(state)
            return self._failed("activate", error)
        self._failure = ""
        self.get_logger().info("active, listening to " + ", ".join(self._reception.topics.values()))
        return result

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take no more frames, finish the one in hand, then silence the publishers."""
        self._reception.stop()
        if self._resources is not None:
            self._resources.drain()
        result: TransitionCallbackReturn = super().on_deactivate(state)
        self.get_logger().info("inactive")
        return result

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and everything else that `configure` made."""
        self._release()
        result: TransitionCallbackReturn = super().on_cleanup(state)
        return result

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finish the work in hand and end the worker."""
        self._reception.stop()
        self._release()
        result: TransitionCallbackReturn = super().on_shutdown(state)
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed: back to unconfigured, all resources freed."""
        self.get_logger().error("a transition failed, back to unconfigured")
        self._reception.stop()
        self._release()
        return _SUCCESS

    def _failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        """Say why a transition failed; the node stays where it was, to be tried again."""
        self._failure = f"cannot {transition}: {reason(error)}"
        self.get_logger().error(self._failure)
        self._publish_diagnostics()
        return _FAILURE

    def _release(self) -> None:
        if self._resources is not None:
            self._resources.close()
        self._resources = None
        gc.unfreeze()
        gc.collect()

    def _autostart(self) -> None:
        if self._start_timer is not None:
            self.destroy_timer(self._start_timer)
            self._start_timer = None
        if self.state == "unconfigured" and self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    # In the executor thread.

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reception.reset()
        response.message = self._forget()
        response.success = True
        return response

    def _on_parameters(self, old: Of, new: Of) -> None:
        """Live parameters change. Raises `SettingsError` where they cannot."""
        if self._resources is not None and old.pipeline != new.pipeline:
            try:
                self._resources.reconfigure(new.pipeline)
            except ConfigError as error:
                raise SettingsError(str(error)) from None
        self._reception.set_slop(new["sync.slop"])

    def _on_set(self, messages: Mapping[str, Stamped], epoch: int) -> None:
        if self._resources is not None:
            self._resources.put(messages, epoch)

    def _on_timer(self) -> None:
        self._publish_diagnostics()
        now = self._statistics.snapshot()
        self._reception.look_for_latched(now)
        if silence := self._silence(now):
            self._reporter.warn("no input", silence)

    def _silence(self, now: Snapshot) -> str:
        return self._reception.silence(now, self.settings["publish.no_input_warning"])

    def _condition(self, now: Snapshot) -> NodeCondition:
        settings = self.settings
        model = self._resources.model if self._resources is not None else None
        return NodeCondition(
            state=self.state,
            failure=self._failure,
            model=model.source if model else settings["network.weights"] or "packaged",
            device=model.device if model is not None else "none",
            asked_device=settings["network.device"],
            matching_device=model.matching_device if model is not None else "none",
            device_problem=model.device_problem if model is not None else "",
            frontend=settings["frontend.name"],
            active=self._reception.active,
            silence=self._silence(now),
            calibrations=self._reception.calibrations,
            requests=self._request_counts.snapshot(),
        )

    def _publish_diagnostics(self) -> None:
        self._diagnostics.publish(self._diagnostics_message(self._statistics.snapshot()))
