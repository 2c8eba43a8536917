"""What can be wrong with a request: each is answered with the reason, and the stream goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from faults.fault import Fault
from faults.feed import Feed, reliable
from faults.temporal_faults import bomb
from msga_ros.msg import CameraImage, FeaturePair, Features, ImagePair, Matches, RequestStatus
from msga_ros.srv import FilterMatches, RelateFeatures, RelateImages
from node.harness import STEREO
from sensor_msgs.msg import CompressedImage

from msga_ros.node.qos import service_qos

PARAMETERS = {
    "frontend.max_keypoints": 300,
    "max_image_pixels": 1_000_000,
    "publish.diagnostics_period": 0.2,
    "publish.no_input_warning": 1.0,
    "requests.max_points": 1000,
    **reliable(f"/{name}" for name in STEREO),
}
_WAVES, _AT_ONCE = 3, 80

Request = Any  # of one of the three services


def images(feed: Feed) -> RelateImages.Request:
    """Left and right of the next frame."""
    good = feed.good()
    views = [
        CameraImage(image=good[f"{side}/image"], camera_info=good[f"{side}/camera_info"])
        for side in ("left", "right")
    ]
    return RelateImages.Request(pair=ImagePair(reference=views[0], current=views[1]))


def features(feed: Feed, count: int = 40) -> RelateFeatures.Request:
    """Points that anything could be."""
    info, rng = feed.good()["left/camera_info"], np.random.default_rng(0)
    views = [
        Features(
            camera_info=info,
            keypoints=rng.uniform(0, 100, 2 * count),
            descriptors=rng.normal(size=8 * count),
        )
        for _ in range(2)
    ]
    return RelateFeatures.Request(pair=FeaturePair(reference=views[0], current=views[1]))


def matches(feed: Feed, count: int = 40) -> FilterMatches.Request:
    """Matches that hold by chance at most."""
    info, rng = feed.good()["left/camera_info"], np.random.default_rng(0)
    made = Matches(
        camera_info=info,
        reference_camera_info=info,
        reference_points=rng.uniform(0, 100, 2 * count),
        points=rng.uniform(0, 100, 2 * count),
    )
    return FilterMatches.Request(matches=made)


SERVICES: dict[str, tuple[Any, Callable[[Feed], Request]]] = {
    "relate_images": (RelateImages, images),
    "relate_features": (RelateFeatures, features),
    "filter_matches": (FilterMatches, matches),
}


def ask(feed: Feed, service: str, request: Request) -> Any:
    """The answer of a service."""
    return feed.run.call(SERVICES[service][0], f"/msga/{service}", request)


def refused(service: str, kind: str, change: Callable[[Request], None], name: str) -> Fault:
    """A request in which something was changed; it is answered with this kind of bad input."""

    def hurt(feed: Feed) -> None:
        request = SERVICES[service][1](feed)
        change(request)
        answer = ask(feed, service, request)
        assert not answer.success and answer.message, answer
        assert (answer.status.code, answer.status.kind) == (RequestStatus.BAD_INPUT, kind), answer
        assert not len(answer.correspondences.points)

    label = f"refused {service} {kind}"
    return Fault(name, hurt, says=rf"{label}: \d+", quick=name in _QUICK)


def at(path: str, value: Any) -> Callable[[Request], None]:
    """Set a field; a dot leads into a field of a field."""

    def change(request: Request) -> None:
        *way, last = path.split(".")
        message = request
        for name in way:
            message = getattr(message, name)
        setattr(message, last, value)

    return change


def compressed(data: bytes) -> Callable[[Request], None]:
    """A compressed image in place of the raw one."""

    def change(request: Request) -> None:
        view = request.pair.current
        view.image.data = b""
        view.compressed_image = CompressedImage(format="png", data=data)

    return change


def other_places(feed: Feed) -> None:
    """Two images that show nothing in common are related, and the verdict is no."""
    request = images(feed)
    noise = np.random.default_rng(0).integers(0, 256, len(request.pair.current.image.data))
    request.pair.current.image.data = noise.astype(np.uint8).tobytes()
    answer = ask(feed, "relate_images", request)
    assert answer.success and answer.message.startswith("TOO_FEW_MATCHES"), answer


def empty(feed: Feed) -> None:
    """Requests in which nothing is filled in."""
    for service, (kind, _) in SERVICES.items():
        answer = ask(feed, service, kind.Request())
        assert (answer.success, answer.status.code) == (False, RequestStatus.BAD_INPUT), answer


def flood(feed: Feed) -> None:
    """Many more at once than have room, good and bad: every one is answered."""
    run = feed.run
    clients = {
        name: run.node.create_client(kind, f"/msga/{name}", qos_profile=service_qos())
        for name, (kind, _) in SERVICES.items()
    }
    for client in clients.values():
        run.wait_for(client.service_is_ready)
    made = {name: make(feed) for name, (_, make) in SERVICES.items()}
    codes: set[int] = set()
    for _ in range(_WAVES):
        futures = [
            clients[name].call_async(made[name] if number % 2 else SERVICES[name][0].Request())
            for number in range(_AT_ONCE // len(clients))
            for name in clients
        ]
        run.wait_for(lambda asked=futures: all(one.done() for one in asked), 60.0, "answers")
        codes |= {one.result().status.code for one in futures}
    for client in clients.values():
        run.node.destroy_client(client)
    assert codes >= {RequestStatus.ANSWERED, RequestStatus.QUEUE_FULL}, codes


def leave(feed: Feed) -> None:
    """Whoever asked has gone before the answer comes."""
    run = feed.run
    client = run.node.create_client(RelateImages, "/msga/relate_images")
    run.wait_for(client.service_is_ready)
    client.call_async(images(feed))
    run.node.destroy_client(client)
    assert ask(feed, "filter_matches", matches(feed)).success


_QUICK = {"request: camera of zeros", "request: matches of two lengths"}

FAULTS: tuple[Fault, ...] = (
    refused(
        "relate_images",
        "camera_info",
        at("pair.current.camera_info.k", [0.0] * 9),
        "request: camera of zeros",
    ),
    refused(
        "filter_matches",
        "camera_info",
        at("matches.camera_info.k", [float("nan")] * 9),
        "request: NaN in K",
    ),
    refused(
        "relate_images",
        "encoding",
        at("pair.reference.image.encoding", "yuv422_magic"),
        "request: encoding unknown",
    ),
    refused(
        "relate_images",
        "truncated",
        at("pair.reference.image.data", b"1234"),
        "request: image truncated",
    ),
    refused(
        "relate_images",
        "oversized",
        at("pair.current.image.width", 2**31),
        "request: image announced to be huge",
    ),
    refused(
        "relate_images",
        "oversized",
        compressed(bomb()),
        "request: compressed bomb of 144 million pixels",
    ),
    refused("relate_images", "compressed", compressed(b"no picture"), "request: no picture"),
    refused("relate_images", "no_image", compressed(b""), "request: no image"),
    refused(
        "relate_images",
        "two_images",
        at("pair.current.compressed_image.data", b"picture"),
        "request: raw and compressed",
    ),
    refused(
        "relate_images",
        "image_size",
        at("pair.current.camera_info.width", 99),
        "request: image size unlike its calibration",
    ),
    refused(
        "filter_matches",
        "points",
        at("matches.points", np.zeros(78)),
        "request: matches of two lengths",
    ),
    refused(
        "filter_matches",
        "points",
        at("matches.points", np.full(80, np.inf)),
        "request: infinite points",
    ),
    refused(
        "filter_matches",
        "evidence",
        at("matches.ratio", np.full(40, np.inf)),
        "request: infinite evidence",
    ),
    refused(
        "filter_matches",
        "oversized",
        at("matches.points", np.zeros(4000)),
        "request: more matches than are taken",
    ),
    refused("filter_matches", "timeout", at("timeout", float("nan")), "request: time limit of NaN"),
    refused(
        "relate_features",
        "descriptors",
        at("pair.current.descriptors", np.zeros(333)),
        "request: descriptors of another number",
    ),
    refused(
        "relate_features",
        "descriptors",
        at("pair.current.descriptors", np.zeros(160)),
        "request: descriptors of another length",
    ),
    refused(
        "relate_features",
        "descriptors",
        at("pair.current.descriptors", np.full(320, np.nan)),
        "request: NaN in descriptors",
    ),
    Fault("request: views of different places", other_places, counts="answered relate_images"),
    Fault("request: nothing filled in", empty, counts="asked relate_images"),
    Fault("request: gone before the answer", leave, counts="answered filter_matches"),
    Fault(
        f"request: flood of {_WAVES} times {_AT_ONCE} at once",
        flood,
        says=r"refused relate_images queue_full: \d+",
        quick=True,
    ),
)
