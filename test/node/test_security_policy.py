"""The SROS 2 policies allow what the running nodes really have, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# By the path of an enclave: the file that it is in, and the node.
ENCLAVES = {
    "/msga/stereo": ("msga_policy.xml", "msga"),
    "/msga/temporal": ("msga_policy.xml", "msga"),
    "/msga/rgbd": ("msga_policy.xml", "msga"),
    "/msga_loops": ("msga_loops_policy.xml", "msga_loops"),
}

Permissions = dict[str, set[str]]  # what may be done -> full names of topics or services


def policy(file: str) -> ElementTree.Element:
    return ElementTree.parse(ROOT / "security" / file).getroot()


def permissions(path: str) -> Permissions:
    """What the enclave at `path` allows, names resolved as SROS 2 resolves them."""
    file, node = ENCLAVES[path]
    (enclave,) = (one for one in policy(file).iter("enclave") if one.get("path") == path)
    (profile,) = enclave.iter("profile")
    assert profile.get("node") == node
    namespace = str(profile.get("ns"))
    allowed: Permissions = {}
    for group in profile:
        for action, qualifier in group.attrib.items():
            assert qualifier == "ALLOW"
            names = [str(one.text) for one in group]
            assert len(names) == len(set(names)), "a name stands twice"
            resolved = {_resolve(name, namespace, node) for name in names}
            allowed[action] = allowed.get(action, set()) | resolved
    return allowed


def _resolve(name: str, namespace: str, node: str) -> str:
    base = namespace.rstrip("/")
    if name.startswith("~/"):
        return f"{base}/{node}/{name[2:]}"
    return name if name.startswith("/") else f"{base}/{name}"


def test_policies_have_these_enclaves_and_no_wildcards() -> None:
    found = []
    for path in sorted((ROOT / "security").glob("*.xml")):
        root = policy(path.name)
        assert root.tag == "policy" and root.get("version") == "0.2.0"
        found += [(path.name, one.get("path")) for one in root.iter("enclave")]
        for element in root.iter():
            assert element.tag in (
                "policy", "enclaves", "enclave", "profiles", "profile",
                "topics", "topic", "services", "service",
            )  # fmt: skip
            if element.tag in ("topic", "service"):
                assert not set(str(element.text)) & set("*?[]"), element.text
    assert set(found) == {(file, path) for path, (file, _) in ENCLAVES.items()}
    for path in ENCLAVES:
        assert set(permissions(path)) == {"publish", "subscribe", "reply"}  # they ask nobody


def graph_of(observer: Any, node: str) -> Permissions:
    """What the ROS graph says that a node has."""
    found = {
        "publish": observer.get_publisher_names_and_types_by_node(node, "/"),
        "subscribe": observer.get_subscriber_names_and_types_by_node(node, "/"),
        "reply": observer.get_service_names_and_types_by_node(node, "/"),
    }
    return {action: {name for name, _ in pairs} for action, pairs in found.items()}


def hold(path: str, observer: Any, wait_for: Callable[..., Any]) -> None:
    """The enclave at `path` against the running node that `observer` sees."""
    node = ENCLAVES[path][1]
    # The name of a node may be heard of later than its topics.
    wait_for(lambda: (node, "/") in observer.get_node_names_and_namespaces())
    asks = observer.get_client_names_and_types_by_node(node, "/")
    allowed = permissions(path)
    with suppress(AssertionError):  # discovery takes a moment; what differs is said below
        wait_for(lambda: graph_of(observer, node) == allowed)
    has = graph_of(observer, node)
    assert asks == []
    for action in ("publish", "subscribe", "reply"):
        assert has[action] - allowed[action] == set(), f"{action}: the policy forbids it"
        assert allowed[action] - has[action] == set(), f"{action}: nobody needs it"


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
        hold(f"/msga/{mode}", process.node, process.wait_for)
