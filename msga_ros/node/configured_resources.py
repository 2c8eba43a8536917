"""What a configured node holds: the model, the worker that uses it, the publishers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from rclpy.lifecycle import LifecycleNode

from msga_ros.geometry.camera import CameraInfo
from msga_ros.node.outputs import Outputs
from msga_ros.node.reporting import Reporter
from msga_ros.node.ros_libraries import image_bridge
from msga_ros.node.streamed_pairs import StreamedPairs
from msga_ros.stream.depth_tracking import DepthTracking
from msga_ros.stream.message_set import MessageSet, stamp_ns
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.model_loading import Model
from msga_ros.stream.processor import Outcome, Processed, Processor
from msga_ros.stream.reference_view import View
from msga_ros.stream.relations import Relations
from msga_ros.stream.request_counts import RequestCounts
from msga_ros.stream.requests import Request
from msga_ros.stream.settings import Settings
from msga_ros.stream.stage_times import StageTimes
from msga_ros.stream.statistics import Statistics
from msga_ros.stream.stereo_tracking import StereoTracking
from msga_ros.stream.stream_odometry import OdometryResult
from msga_ros.stream.track_ids import TrackIds
from msga_ros.stream.worker import Worker
from msga_ros.two_view.config import PipelineConfig

# The item in hand gets so many seconds to finish when the node is deactivated or shut down.
_PATIENCE = 20.0

# Sets that wait for the worker where points are followed: a set that gives way to the next makes
# their way twice as long, and work that takes long once in a while is made up for.
_WAITING_TO_FOLLOW = 2

# An image older than this was not taken now: it is from a bag played without simulated time.
_PLAUSIBLE_AGE_NS = 60_000_000_000


class ConfiguredResources:
    """Made by `configure`, ended by `cleanup` and `shutdown`.

    `topics`: resolved topic of each input, or the file that takes its place, as `calibrations` by
    camera_info input. `settings` gives the parameters in force.
    """

    def __init__(
        self,
        node: LifecycleNode,
        model: Model,
        topics: Mapping[str, str],
        settings: Callable[[], Settings],
        statistics: Statistics,
        reporter: Reporter,
        counts: RequestCounts,
        calibrations: Mapping[str, CameraInfo],
    ) -> None:
        self._node = node
        self._model = model
        self._settings = settings
        self._statistics = statistics
        self._reporter = reporter
        self._idle_spells = 0  # how often the last subscriber has left
        self._idle = False
        now = settings()
        self._outputs = Outputs(node, now, reporter.complain)
        self._track_ids = TrackIds()
        self._tracking: StereoTracking | DepthTracking | None = None
        if now.metric:
            kind = StereoTracking if now.stereo else DepthTracking
            say, on_error = node.get_logger().info, partial(reporter.exception, "odometry")
            self._tracking = kind(model.pipeline, say, on_error, now.odometry)
        bridge = image_bridge()
        self._processor = Processor(model.pipeline, topics, reporter.complain, bridge, calibrations)
        self._relations = Relations(model.pipeline, bridge)
        self._worker: Worker[MessageSet | Request[Outcome]] = Worker(
            self._work,
            self._on_drop,
            self._on_error,
            now["requests.queue_size"],
            _WAITING_TO_FOLLOW if model.follows else 1,
        )
        self._streamed_pairs = StreamedPairs(
            node,
            settings,
            self._relations,
            self._worker.put,
            lambda: self.wanted,
            self._publish_pair,
            counts,
            reporter,
        )

    @property
    def model(self) -> Model:
        """The pipeline and where it is from."""
        return self._model

    @property
    def motion_problem(self) -> str:
        """Why something of the odometry cannot be published; "" where all is well."""
        return self._outputs.motion_problem

    @property
    def wanted(self) -> bool:
        """Whether an output has a subscriber, or `run` is always."""
        return self._outputs.wanted(self._settings())

    @property
    def relations(self) -> Relations:
        """What relates the two views of a request."""
        return self._relations

    def start(self) -> None:
        """Take streamed pairs, where the parameters say so. Raises what rclpy raises."""
        self._streamed_pairs.start()

    def queue(self, request: Request[Outcome]) -> bool:
        """Line up a request, to be worked between the frames; False where it is full."""
        return self._worker.queue(request)

    def put(self, messages: Mapping[str, Stamped], epoch: int) -> None:
        """Hand a complete set to the worker if it is wanted; called in the executor thread.

        The first set that is wanted again begins an epoch: views from before the pause are too old
        to be its reference.
        """
        idle = not self.wanted
        self._idle_spells += idle and not self._idle
        self._idle = idle
        if idle:
            self._statistics.unwanted()
            return
        self._worker.put(MessageSet(messages, epoch=epoch + self._idle_spells))

    def reconfigure(self, config: PipelineConfig) -> None:
        """Change live parameters of the pipeline. Raises `ConfigError` and changes nothing."""
        self._model.pipeline.reconfigure(config)

    def drain(self) -> None:
        """Take no more pairs, drop what waits, let the work in hand be finished and published."""
        self._streamed_pairs.stop()
        if not self._worker.drain(_PATIENCE):
            self._node.get_logger().error(f"the work did not finish in {_PATIENCE:.0f} s")

    def close(self) -> None:
        """End the worker after the work in hand and take the publishers down."""
        self._streamed_pairs.stop()
        if not self._worker.stop(_PATIENCE):
            self._node.get_logger().error(f"the worker did not end in {_PATIENCE:.0f} s")
        self._outputs.close()

    def _work(self, item: MessageSet | Request[Outcome]) -> bool:
        """A frame, or a step of a request; True where the request has more steps."""
        if isinstance(item, Request):
            return item.advance()
        self._process(item)
        return False

    def _on_drop(self, item: MessageSet | Request[Outcome]) -> None:
        if isinstance(item, Request):
            item.drop()
        else:
            self._statistics.dropped("superseded")

    def _publish_pair(self, outcome: Outcome) -> None:
        """The result of a streamed pair; it is no part of the live stream and its odometry."""
        self._outputs.publish_pose(outcome)
        self._outputs.publish_pair(outcome, self._settings())

    def _process(self, message_set: MessageSet) -> None:
        settings = self._settings()
        times = StageTimes()
        times.add("wait", 1e3 * (time.monotonic() - message_set.arrived))
        processed = self._processor.process(message_set, settings)
        if not processed.usable:
            self._statistics.dropped("bad_input")
            return
        for stage, value in processed.milliseconds.items():
            times.add(stage, value)
        if processed.outcome is not None or settings.rgbd:
            self._publish(processed, message_set.epoch, settings, times)
        total = 1e3 * (time.monotonic() - message_set.arrived)
        times.add("other", max(total - sum(times.milliseconds.values()), 0.0))
        times.add("total", total)
        taken = stamp_ns(next(iter(message_set.messages.values())))
        age = self._node.get_clock().now().nanoseconds - taken
        if 0 <= age < _PLAUSIBLE_AGE_NS:
            times.add("since_stamp", age * 1e-6)
        self._statistics.processed(times.milliseconds)
        self._reporter.detail(partial(_line, processed.outcome, taken, times))

    def _publish(
        self, processed: Processed, epoch: int, settings: Settings, times: StageTimes
    ) -> None:
        """The pose at once; then, with the ids of its tracks, everything else."""
        outcome = processed.outcome
        if outcome is not None:
            result = outcome.result
            counts = result.counts
            self._statistics.result(
                result.status.name, counts.geometric_inliers, counts.matched, result.second
            )
            with times.stage("publish"):
                self._outputs.publish_pose(outcome)
            if not outcome.stereo:
                outcome = self._track_ids.follow(outcome)
        outcome, odometry_result = self._tracked(processed.view, outcome, epoch, settings, times)
        with times.stage("publish"):
            self._outputs.publish(outcome, odometry_result, settings)

    def _tracked(
        self,
        view: View | None,
        outcome: Outcome | None,
        epoch: int,
        settings: Settings,
        times: StageTimes,
    ) -> tuple[Outcome | None, OdometryResult | None]:
        """The outcome with ids, and where the camera is, where there is odometry."""
        if self._tracking is None:
            return outcome, None
        started = time.perf_counter()
        wanted, result = self._outputs.wants_motion(settings), None
        if isinstance(self._tracking, DepthTracking):
            assert view is not None
            result = self._tracking.update(view, outcome, epoch, wanted)
        elif outcome is not None:
            outcome, result = self._tracking.update(outcome, epoch, wanted)
        stage = "rig_check" if result is None and settings.stereo else "odometry"
        times.add(stage, 1e3 * (time.perf_counter() - started))
        self._statistics.motion(self._tracking.report)
        return outcome, result

    def _on_error(self, item: MessageSet | Request[Outcome], error: Exception) -> None:
        if isinstance(item, MessageSet):
            self._statistics.dropped("error")
        self._reporter.exception("work on a set", error)


def _line(outcome: Outcome | None, taken: int, times: StageTimes) -> str:
    """What was made of a set, for whoever looks at the log with level debug."""
    stamp = f"{taken // 10**9}.{taken % 10**9:09d}"
    stages = ", ".join(f"{name} {value:.1f}" for name, value in times.milliseconds.items())
    if outcome is None:
        return f"set {stamp}: a reference view, no pose; ms: {stages}"
    result = outcome.result
    counts = f"{result.counts.geometric_inliers} of {result.counts.matched} matches hold"
    return f"set {stamp}: {result.status.name}, {counts}; ms: {stages}"
