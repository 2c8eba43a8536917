"""Feeds a running `msga_loops`: a drive with its odometry, and questions where an image is from."""

from __future__ import annotations

from typing import Any

import numpy as np
from faults.feed import Errors, Feed
from faults.footage import Footage, View
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from msga_ros.msg import CameraImage
from msga_ros.srv import Locate
from nav_msgs.msg import Odometry
from node.harness import NodeProcess, header, stamp_ns

from msga_ros.geometry.camera_pose import Pose
from msga_ros.geometry.rotations import quaternion
from msga_ros.node.image_message import image_message

LOOPS = ("image", "camera_info", "odom")


class LoopFeed(Feed):
    """One camera that is the robot, too; `file`: of its map. `shift`: m, of the odometry."""

    def __init__(self, run: NodeProcess, footage: Footage, file: Any) -> None:
        super().__init__(run, footage, stereo=False)
        self.file = file
        self.shift = np.zeros(3)
        self.seen: dict[int, View] = {}  # what was sent, by its stamp

    def odometry(self, stamp: int, view: View) -> None:
        """Where the robot is at `stamp`."""
        pose = Pose(view.rotation, view.translation).inverse()  # of the camera in the world
        message = Odometry(header=header(stamp, "odom"), child_frame_id="base_link")
        at, turn = message.pose.pose.position, message.pose.pose.orientation
        at.x, at.y, at.z = (float(one) for one in pose.translation + self.shift)
        turn.x, turn.y, turn.z, turn.w = quaternion(pose.rotation)
        self.send({"odom": message})

    def drive(self, view: View, stamp: int | None = None) -> int:
        """The robot comes to a view: odometry around it, the image, its calibration; its stamp."""
        stamp = self.tick() if stamp is None else stamp
        self.odometry(stamp - 10_000_000, view)
        self.odometry(stamp + 10_000_000, view)
        self.send(self.messages(stamp, view))
        self.seen[stamp] = view
        return stamp

    def keyframe(self, view: View) -> int:
        """`drive`, until the node has its verdict; the stamp."""
        before = self.settled()
        stamp = self.drive(view)
        self.run.wait_for(lambda: self.settled() > before, what="verdict")
        return stamp

    def settled(self) -> int:
        """Images with a verdict, whatever it is."""
        said = self.run.diagnostic("loops")
        return sum(
            int(value)
            for key, value in said.items()
            if key.startswith(("images ", "dropped ")) and value.isdigit()
        )

    def locate(self, view: View) -> Any:
        """The answer to where a view is from."""
        messages = self.messages(self.now, view)
        asked = CameraImage(image=messages["image"], camera_info=messages["camera_info"])
        return self.run.call(Locate, "/msga_loops/locate", Locate.Request(view=asked))

    def right(self) -> Errors:
        """A new keyframe is taken, and the next picture is found in it, or in one nearby."""
        self.shift = np.zeros(3)
        frame = self.next_frame()
        self.keyframe(self.view(frame))
        beside = self.view(min(frame + 1, self.footage.frames - 1), "right")
        answer = self.locate(beside)
        assert answer.success and answer.found, (answer.message, self.run.log())
        reference = self.seen[stamp_ns(answer.edge.reference_header)]
        made = type("Pose", (), {"transform": _transform(answer.edge.pose.pose)})
        return self.errors(made, reference, beside).check()

    def begin(self, timeout: float = 40.0) -> None:
        """Until the first keyframe is taken."""
        self.right()

    def counter(self, key: str) -> int:
        """A count of the newest diagnostics, 0 where there is none."""
        parts = ("input", "loops", "requests", "odometry")
        found = {key: value for part in parts for key, value in self.run.diagnostic(part).items()}
        return int(found.get(key, 0))

    def again(self) -> None:
        """Configure anew: deactivate, clean up, configure, activate."""
        self.change("deactivate", "cleanup")
        self.change("configure", "activate")

    def change(self, *names: str) -> None:
        """Transitions of the node."""
        for name in names:
            number = getattr(Transition, f"TRANSITION_{name.upper()}")
            request = ChangeState.Request(transition=Transition(id=number))
            assert self.run.call(ChangeState, "/msga_loops/change_state", request).success, name
        if names[-1] == "activate":
            self.run.wait_connected()

    def forget(self) -> None:
        """The node begins with an empty map."""
        self.change("deactivate", "cleanup")
        self.file.unlink()
        self.seen = {}
        self.change("configure", "activate")

    def _image(self, pixels: np.ndarray, head: Any) -> Any:
        return image_message(pixels, head)


def _transform(pose: Any) -> Any:
    return type("Transform", (), {"translation": pose.position, "rotation": pose.orientation})
