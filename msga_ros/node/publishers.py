"""Managed publishers on the private topics of a node."""

from __future__ import annotations

from functools import partial

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile

from msga_ros.node.qos import output_events, overrides
from msga_ros.stream.processor import Complain


def private_publisher(
    node: LifecycleNode, complain: Complain, kind: type[object], name: str, qos: QoSProfile
) -> LifecyclePublisher:
    """A publisher of `kind` on `~/name`, whose QoS parameters may override.

    `complain(kind, topic, text)` is called in the executor thread where the QoS of a subscription
    does not fit. Raises what rclpy raises, for an override that cannot be.
    """
    topic = f"{node.get_fully_qualified_name()}/{name}"
    return node.create_lifecycle_publisher(
        kind,
        f"~/{name}",
        qos,
        qos_overriding_options=overrides(),
        event_callbacks=output_events(partial(complain, "incompatible_qos", topic)),
    )


def listened_to(publisher: LifecyclePublisher) -> bool:
    """Whether a managed publisher is active and has a subscriber."""
    return bool(publisher.is_activated and publisher.get_subscription_count() > 0)
