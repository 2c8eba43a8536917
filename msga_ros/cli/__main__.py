"""`python -m msga_ros.cli`."""

from msga_ros.cli import main

main()
