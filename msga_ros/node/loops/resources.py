"""What the configured node `msga_loops` holds: the map, the worker that uses it, the publishers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode

from msga_ros.configuration.yaml_dataclass import ConfigError
from msga_ros.geometry.camera import CameraInfo
from msga_ros.loops.store import StoreError
from msga_ros.node.loops.odometry_input import OdometryInput
from msga_ros.node.loops.outputs import LoopOutputs
from msga_ros.node.motion_outputs import tf_message
from msga_ros.node.reporting import Reporter
from msga_ros.node.ros_libraries import image_bridge
from msga_ros.stream.errors import BadInput
from msga_ros.stream.loops.counts import STILL, LoopCounts
from msga_ros.stream.loops.images_with_odometry import ImagesWithOdometry, ImageWithOdometry
from msga_ros.stream.loops.odometry_buffer import OdometryBuffer, OdometryPose
from msga_ros.stream.loops.session import LoopSession, OpenMap, PlacedImage
from msga_ros.stream.loops.settings import LoopSettings
from msga_ros.stream.loops.spacing import Spacing
from msga_ros.stream.message_set import stamp_ns
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.model_loading import Model
from msga_ros.stream.requests import Request
from msga_ros.stream.statistics import Statistics
from msga_ros.stream.worker import Worker
from msga_ros.two_view.config import PipelineConfig

# The work in hand gets so many seconds to finish: several pairs of images may have to be related.
_PATIENCE = 60.0
_LOOK_PERIOD = 0.2  # s between looks for images that waited too long, and for who listens


class _Picture:
    """Work for the worker: markers and path of the map as it is."""


_Item = PlacedImage | Request[Any] | _Picture


class LoopResources:
    """Made by `configure`, ended by `cleanup` and `shutdown`; closes the map that it is given.

    `topics`: resolved topic of each input, or the file that takes its place, as `calibrations` by
    camera_info input. `settings` gives the parameters in force. Raises `ConfigureError`.
    """

    def __init__(
        self,
        node: LifecycleNode,
        model: Model,
        opened: OpenMap,
        topics: Mapping[str, str],
        settings: Callable[[], LoopSettings],
        statistics: Statistics,
        counts: LoopCounts,
        reporter: Reporter,
        calibrations: Mapping[str, CameraInfo],
    ) -> None:
        self._node = node
        self._model = model
        self._settings = settings
        self._statistics = statistics
        self._counts = counts
        self._reporter = reporter
        self._topic = topics["image"]
        self._epoch: int | None = None
        now = settings()
        message = tf_message()
        self.odometry = OdometryInput(node, now, message, self._on_pose, reporter)
        buffer = OdometryBuffer(now["odometry.max_gap"]) if now.has_odometry else None
        self._images = ImagesWithOdometry(
            buffer, self._on_ready, self._refuse, now["odometry.patience"]
        )
        self._spacing = Spacing(now.loops, now["images.interval"])
        self.session = LoopSession(
            opened, topics, reporter.complain, counts, image_bridge(), calibrations
        )
        self._outputs = LoopOutputs(node, now, self.session, message, reporter.complain)
        self._worker: Worker[_Item] = Worker(
            self._work,
            self._on_drop,
            self._on_error,
            now["requests.queue_size"],
            now["images.queue_size"],
        )
        self._timer = node.create_timer(
            _LOOK_PERIOD, reporter.guarded("timer of the images", self._look)
        )

    @property
    def model(self) -> Model:
        """The pipeline and where it is from."""
        return self._model

    @property
    def problem(self) -> str:
        """Why the transform cannot be published; "" where all is well."""
        return self._outputs.problem

    def start(self) -> None:
        """Say what the map holds, and listen to the odometry. Raises what rclpy raises."""
        self._outputs.publish_map()
        self.odometry.start()

    def put(self, messages: Mapping[str, Stamped], epoch: int) -> None:
        """Take a complete set of messages; called in the executor thread."""
        if epoch != self._epoch:
            if self._epoch is not None:
                self.forget()
            self._epoch = epoch  # what comes now is of it
        self._images.image(messages)

    def forget(self) -> None:
        """Forget the odometry and the images that wait for it; in the executor thread."""
        self._epoch = None
        self._images.reset()
        self._spacing.reset()

    def queue(self, request: Request[Any]) -> bool:
        """Line up a request, to be worked between the images; False where it is full."""
        return self._worker.queue(request)

    def reconfigure(self, config: PipelineConfig) -> None:
        """Change live parameters of the pipeline. Raises `ConfigError` and changes nothing."""
        if config.frontend.name != self._settings().pipeline.frontend.name:
            raise ConfigError("frontend.name is given at start: the map is of its features")
        self._model.pipeline.reconfigure(config)

    def drain(self) -> None:
        """Take no more, drop what waits, let the work in hand be finished and published."""
        self.odometry.stop()
        self._images.reset()
        if not self._worker.drain(_PATIENCE):
            self._node.get_logger().error(f"the work did not finish in {_PATIENCE:.0f} s")

    def close(self) -> None:
        """End the worker after the work in hand, give the map back, take the publishers down."""
        self.odometry.stop()
        self._node.destroy_timer(self._timer)
        self._images.reset()
        if not self._worker.stop(_PATIENCE):
            self._node.get_logger().error(f"the worker did not end in {_PATIENCE:.0f} s")
        self._outputs.close()
        self.session.close()

    def map_replaced(self) -> None:
        """The session has another map; in the worker's thread."""
        self._outputs.map_replaced()

    # In the executor thread.

    def _on_pose(self, pose: OdometryPose) -> None:
        self._statistics.received(self.odometry.topic)
        if self._images.odometry(pose):
            self._outputs.publish_transform(pose)

    def _on_ready(self, image: ImageWithOdometry) -> None:
        """An image has its odometry: off to the worker, where it may show something new."""
        first = image.messages["image"]
        if not self._spacing.passes(stamp_ns(first), image.odometry):
            self._counts.image(STILL)
            return
        mount = None
        if image.odometry is not None:
            mount = self.odometry.mount(image.odometry, first.header.frame_id)
            if mount is None:
                text = self.odometry.missing(image.odometry, first.header.frame_id)
                self._spacing.reset()
                self._refuse("no_transform", text)
                return
        self._worker.put(PlacedImage(image, mount))

    def _look(self) -> None:
        """Now and then: images that waited too long, and pictures of the map for who listens."""
        self._images.look()
        if self._outputs.picture_wanted:
            self._worker.put(_Picture(), "picture")

    def _refuse(self, reason: str, text: str) -> None:
        self._statistics.dropped(reason)
        self._reporter.complain(reason, self._topic, text)

    # In the worker's thread.

    def _work(self, item: _Item) -> bool:
        """An image, or a step of a request; True where the request has more steps."""
        if isinstance(item, Request):
            return item.advance()
        if isinstance(item, _Picture):
            if self._outputs.picture_wanted:
                self._outputs.publish_picture()
        else:
            self._process(item)
        return False

    def _process(self, item: PlacedImage) -> None:
        started = time.monotonic()
        try:
            processed = self.session.process(item, self._settings())
        except BadInput as error:
            self._statistics.dropped("bad_input")
            self._reporter.complain(error.kind, error.topic or self._topic, error.text)
            return
        except (OSError, StoreError) as error:
            self._statistics.dropped("map_file")
            self._reporter.complain(
                "map_file", self._topic, f"the keyframe is not kept, all others are: {error}"
            )
            return
        if processed is not None:
            self._outputs.publish(processed)
            done = time.monotonic()
            wait = 1e3 * (started - item.image.arrived)
            self._statistics.processed({"wait": wait, "work": 1e3 * (done - started)})

    def _on_drop(self, item: _Item) -> None:
        if isinstance(item, Request):
            item.drop()
        elif isinstance(item, PlacedImage):
            self._statistics.dropped("superseded")

    def _on_error(self, item: _Item, error: Exception) -> None:
        if isinstance(item, PlacedImage):
            self._statistics.dropped("error")
        self._reporter.exception("work on an image", error)
