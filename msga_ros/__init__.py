"""Outlier removal for feature matches with MSGA-Net, and the ROS 2 node around it."""

from pkgutil import extend_path

# The generated messages (`msga_ros.msg`) lie in the ROS install space; a source tree or a pip
# install of this library lies elsewhere. Both are one package.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
