"""`python -m msga_ros.node.loops`: the node `msga_loops`."""

import sys

from msga_ros.node.loops import main

if __name__ == "__main__":
    sys.exit(main())
