"""`python -m msga_ros.node`: the node `msga`."""

import sys

from msga_ros.node import main

if __name__ == "__main__":
    sys.exit(main())
