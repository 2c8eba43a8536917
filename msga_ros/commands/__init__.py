"""What the commands of `msga` do; `msga_ros.cli` declares their arguments."""
