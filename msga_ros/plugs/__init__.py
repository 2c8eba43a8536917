"""What other SLAM and VIO systems take, made from `Correspondences` and `RelativePose`.

Nothing here imports ROS but `msga_ros.plugs.node`: the functions take any object with the fields
of the message, from `rclpy` or from a bag read with `rosbags`. One page each in docs/plugs.
"""
