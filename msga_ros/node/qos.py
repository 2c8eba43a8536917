"""QoS of the node's topics, and what is said where the other end asks for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

_POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def sensor_qos() -> QoSProfile:
    """Sensor-data QoS; a new one each time, because QoS overrides are written into it."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=5,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


def output_qos(depth: int = 5) -> QoSProfile:
    """Reliable, volatile; a new one each time."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


def static_qos(depth: int = 100) -> QoSProfile:
    """Reliable, transient local: what was said before we came is heard, as on /tf_static."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )


def service_qos() -> QoSProfile:
    """Reliable and volatile, for both ends of a service; with room for many requests at once.

    What does not fit any more before the executor looks is dropped by DDS without a word.
    """
    return output_qos(depth=100)


def overrides() -> QoSOverridingOptions:
    """`qos_overrides.<topic>.<publisher|subscription>.<policy>` parameters for an entity."""
    return QoSOverridingOptions(_POLICIES)


def input_events(complain: Callable[[str], None]) -> SubscriptionEventCallbacks:
    """`complain(text)` when a publisher's QoS does not fit what a subscription asks for."""
    return SubscriptionEventCallbacks(
        incompatible_qos=lambda event: complain(
            f"a publisher offers another QoS than we ask for ({_policy(event)}): nothing is "
            "received from it"
        )
    )


def silent_input_events() -> SubscriptionEventCallbacks:
    """Nothing is said, not even by rclpy, where a publisher's QoS does not fit."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)


def output_events(complain: Callable[[str], None]) -> PublisherEventCallbacks:
    """`complain(text)` when a subscription asks for a QoS that a publisher does not offer."""
    return PublisherEventCallbacks(
        incompatible_qos=lambda event: complain(
            f"a subscription asks for another QoS than we offer ({_policy(event)}): it receives "
            "nothing"
        )
    )


def qos_text(qos: QoSProfile) -> str:
    """Reliability and durability in words."""
    return f"{qos.reliability.name.lower()}/{qos.durability.name.lower()}"


def compatible(asked: QoSProfile, offered: QoSProfile) -> bool:
    """Whether a subscription that asks for `asked` receives from a publisher that has `offered`."""
    reliable = QoSReliabilityPolicy.RELIABLE
    kept = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return not (
        (asked.reliability == reliable and offered.reliability != reliable)
        or (asked.durability == kept and offered.durability != kept)
    )


class IncompatibleQoS(Protocol):
    """The event of an endpoint whose QoS does not fit."""

    last_policy_kind: int


def _policy(event: IncompatibleQoS) -> str:
    kind = event.last_policy_kind
    try:
        return QoSPolicyKind(kind).name.lower()
    except ValueError:
        return f"policy {kind}"
