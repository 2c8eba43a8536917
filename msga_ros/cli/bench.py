"""`msga bench`: how fast it is on this machine."""

from __future__ import annotations

import typer

from msga_ros.cli import bench_network, bench_node

app = typer.Typer(help="How fast it is on this machine.", no_args_is_help=True)
app.command("network")(bench_network.command)
app.command("node")(bench_node.command)
