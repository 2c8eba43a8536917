"""The messages of the bridges."""

from __future__ import annotations

from types import ModuleType

from geometry_msgs.msg import Point32
from sensor_msgs.msg import ChannelFloat32, PointCloud
from std_msgs.msg import Header

from msga_ros.plugs.msckf import StereoMeasurement
from msga_ros.plugs.vins import CHANNELS, FeatureCloud


def point_cloud(header: Header, cloud: FeatureCloud) -> PointCloud:
    """`sensor_msgs/PointCloud` with the nine channels of VINS-Fusion."""
    return PointCloud(
        header=header,
        points=[Point32(x=x, y=y, z=z) for x, y, z in cloud.points.tolist()],
        channels=[
            ChannelFloat32(name=name, values=values)
            for name, values in zip(CHANNELS, cloud.channels.tolist(), strict=True)
        ],
    )


def camera_measurement(header: Header, measurement: StereoMeasurement, kinds: ModuleType) -> object:
    """`CameraMeasurement` of the message package `kinds`."""
    features = [
        kinds.FeatureMeasurement(id=identity, u0=u0, v0=v0, u1=u1, v1=v1)
        for identity, (u0, v0, u1, v1) in zip(
            measurement.ids.tolist(), measurement.coordinates.tolist(), strict=True
        )
    ]
    return kinds.CameraMeasurement(header=header, features=features)
