"""Subscriptions of the node: names, types, QoS, and what to say when nothing arrives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from msga_ros.node.qos import (
    compatible,
    input_events,
    overrides,
    qos_text,
    sensor_qos,
    silent_input_events,
    static_qos,
)
from msga_ros.node.ros_libraries import filters_module
from msga_ros.stream.compressed_depth import TRANSPORT
from msga_ros.stream.message_filters_fallback import Subscriber
from msga_ros.stream.message_set import DEPTH_INPUT
from msga_ros.stream.message_types import Stamped
from msga_ros.stream.silence import advice, stamp_text


def input_topic(node: LifecycleNode, name: str, transport: str) -> str:
    """The resolved topic of the input `name`.

    A compressed image lies at `<image topic>/<transport>`, after remapping the image topic, unless
    the compressed name itself is remapped.
    """
    base: str = node.resolve_topic_name(name)
    if transport == "raw" or not name.endswith("image"):
        return base
    suffix = "/" + transport
    remapped: str = node.resolve_topic_name(name + suffix)
    if remapped != node.resolve_topic_name(name + suffix, only_expand=True):
        return remapped
    return base + suffix


class Inputs:
    """The subscriptions to `topics` (input name to resolved topic), from activation on.

    `transport(name)`: how the images of an input come. `on_message(name, message)` and
    `complain(kind, topic, text)` are called in the executor thread.
    """

    def __init__(
        self,
        node: LifecycleNode,
        topics: Mapping[str, str],
        transport: Callable[[str], str],
        on_message: Callable[[str, Stamped], None],
        complain: Callable[[str, str, str], None],
    ) -> None:
        self._node = node
        self._topics = topics
        self._transport = transport
        self._subscribers: dict[str, Subscriber] = {}
        self._on_message = on_message
        self._latched: dict[str, Subscription] = {}
        try:
            for name, topic in topics.items():
                subscriber = filters_module().Subscriber(
                    node,
                    self._type(name),
                    topic,
                    qos_profile=sensor_qos(),
                    qos_overriding_options=overrides(),
                    event_callbacks=input_events(partial(complain, "incompatible_qos", topic)),
                )
                self._subscribers[name] = subscriber
                subscriber.registerCallback(_named(name, on_message))
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Unsubscribe from everything."""
        for subscriber in self._subscribers.values():
            self._node.destroy_subscription(subscriber.sub)
        for latched in self._latched.values():
            self._node.destroy_subscription(latched)
        self._subscribers, self._latched = {}, {}

    def ask_for_latched(self, name: str) -> None:
        """Subscribe to the input `name` once more, where a publisher keeps what it said before.

        Only there: a volatile publisher would complain of such a subscription.
        """
        if name in self._latched:
            return
        topic = self._topics[name]
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not any(compatible(static_qos(), one.qos_profile) for one in publishers):
            return
        self._latched[name] = self._node.create_subscription(
            self._type(name),
            topic,
            _named(name, self._on_message),
            static_qos(depth=1),
            event_callbacks=silent_input_events(),
        )

    def explain_silence(
        self,
        seconds: float,
        received: Mapping[str, int],
        newest: Mapping[str, int],
        standing: Mapping[str, int],
    ) -> str:
        """No set for so many `seconds`; one line a topic: what arrived and the QoS on both ends.

        By input name: the number of messages `received`, the `newest` stamp in ns, and where the
        stamps are `standing` still.
        """
        lines = [f"no complete set of messages for {seconds:.0f} s; since then, on each topic:"]
        for name, subscriber in self._subscribers.items():
            topic, qos = self._topics[name], subscriber.sub.qos_profile
            lines.append(
                f"{topic}: {received.get(name, 0)} received{_stamp_text(newest.get(name))}; "
                f"we ask for {qos_text(qos)}; " + self._publishers_text(name, topic, qos)
            )
        lines += advice(received, newest, standing, self._topics)
        return "\n  ".join(lines)

    def _type(self, name: str) -> type[CameraInfo] | type[Image] | type[CompressedImage]:
        if not name.endswith("image"):
            return CameraInfo
        return Image if self._transport(name) == "raw" else CompressedImage

    def _publishers_text(self, name: str, topic: str, qos: QoSProfile) -> str:
        kind = self._type(name)
        wanted = _type_name(kind)
        texts = []
        for one in self._node.get_publishers_info_by_topic(topic):
            text = f"{one.node_namespace.rstrip('/')}/{one.node_name} offers "
            text += qos_text(one.qos_profile)
            if one.topic_type != wanted:
                text += f" and another type, {one.topic_type} instead of {wanted}"
            elif not compatible(qos, one.qos_profile):
                text += " (incompatible)"
            texts.append(text)
        text = "; ".join(texts) if texts else "no publisher"
        return text + other_transport(name, topic, kind, self._published_types)

    def _published_types(self, topic: str) -> list[str]:
        return [one.topic_type for one in self._node.get_publishers_info_by_topic(topic)]


def other_transport(
    name: str, topic: str, kind: type[object], published: Callable[[str], Sequence[str]]
) -> str:
    """Where images are published in another way than the parameters say; "" where they are not.

    `kind`: what the input `name` asks for on `topic`; `published`: types on a topic.
    """
    if not name.endswith("image"):
        return ""
    parameter, compressed = "image_transport", "compressed"
    if name == DEPTH_INPUT:
        parameter, compressed = "depth.transport", TRANSPORT
    suffix = f"/{compressed}"
    if kind is Image:
        where, other, transport = topic + suffix, CompressedImage, compressed
    else:
        where, other, transport = topic.removesuffix(suffix), Image, "raw"
    if _type_name(other) not in published(where):
        return ""
    return f"; {where} is published: set {parameter} to {transport}"


def _type_name(kind: type[object]) -> str:
    package, _, _ = kind.__module__.partition(".")
    return f"{package}/msg/{kind.__name__}"


def _named(name: str, on_message: Callable[[str, Stamped], None]) -> Callable[[Stamped], None]:
    return lambda message: on_message(name, message)


def _stamp_text(stamp: int | None) -> str:
    return "" if stamp is None else f", newest stamp {stamp_text(stamp)}"
