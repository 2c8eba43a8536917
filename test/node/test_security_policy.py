"""The SROS 2 policy allows what the running node really has, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "security" / "msga_policy.xml"
NODE = "msga"

Permissions = dict[str, set[str]]  # what may be done -> full names of topics or services


def permissions(mode: str) -> Permissions:
    """What the enclave of `mode` allows, names resolved as SROS 2 resolves them."""
    (enclave,) = (
        one
        for one in ElementTree.parse(POLICY).getroot().iter("enclave")
        if one.get("path") == f"/{NODE}/{mode}"
    )
    (profile,) = enclave.iter("profile")
    namespace = str(profile.get("ns"))
    allowed: Permissions = {}
    for group in profile:
        for action, qualifier in group.attrib.items():
            assert qualifier == "ALLOW"
            names = [str(one.text) for one in group]
            assert len(names) == len(set(names)), "a name stands twice"
            resolved = {_resolve(name, namespace, str(profile.get("node"))) for name in names}
            allowed[action] = allowed.get(action, set()) | resolved
    return allowed


def _resolve(name: str, namespace: str, node: str) -> str:
    base = namespace.rstrip("/")
    if name.startswith("~/"):
        return f"{base}/{node}/{name[2:]}"
    return name if name.startswith("/") else f"{base}/{name}"


def test_policy_has_one_enclave_a_mode_and_no_wildcards() -> None:
    root = ElementTree.parse(POLICY).getroot()
    assert root.tag == "policy" and root.get("version") == "0.2.0"
    paths = [one.get("path") for one in root.iter("enclave")]
    assert paths == [f"/{NODE}/stereo", f"/{NODE}/temporal", f"/{NODE}/rgbd"]
    for element in root.iter():
        assert element.tag in (
            "policy", "enclaves", "enclave", "profiles", "profile",
            "topics", "topic", "services", "service",
        )  # fmt: skip
        if element.tag in ("topic", "service"):
            assert not set(str(element.text)) & set("*?[]"), element.text
    for mode in ("stereo", "temporal", "rgbd"):
        assert set(permissions(mode)) == {"publish", "subscribe", "reply"}  # it asks nobody


@pytest.mark.ros
@pytest.mark.parametrize("mode", ["stereo", "temporal", "rgbd"])
def test_policy_is_what_the_running_node_has(mode: str, any_weights: Path) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("msga_ros.msg", reason="the package is not built")
    from node.harness import NodeProcess

    from msga_ros.stream.message_set import INPUTS

    inputs = INPUTS[mode]
    # With simulated time, because the policy allows for it.
    parameters = {"mode": mode, "use_sim_time": True, "network.weights": str(any_weights)}
    with NodeProcess(inputs, parameters) as process:
        observer = process.node

        def seen() -> Permissions:
            found = {
                "publish": observer.get_publisher_names_and_types_by_node(NODE, "/"),
                "subscribe": observer.get_subscriber_names_and_types_by_node(NODE, "/"),
                "reply": observer.get_service_names_and_types_by_node(NODE, "/"),
            }
            return {action: {name for name, _ in pairs} for action, pairs in found.items()}

        # The name of a node may be heard of later than its topics.
        process.wait_for(lambda: (NODE, "/") in observer.get_node_names_and_namespaces())
        asks = observer.get_client_names_and_types_by_node(NODE, "/")
        allowed = permissions(mode)
        with suppress(AssertionError):  # discovery takes a moment; what differs is said below
            process.wait_for(lambda: seen() == allowed, timeout=10.0)
        has = seen()
    assert asks == []
    for action in ("publish", "subscribe", "reply"):
        assert has[action] - allowed[action] == set(), f"{action}: the policy forbids it"
        assert allowed[action] - has[action] == set(), f"{action}: nobody needs it"
