# Source this (bash): everything that the node, the demo and the tests need, in this shell.
# What the user has set already stays as it is.

_msga_root="$(builtin cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if [ ! -f "$_msga_root/install/setup.bash" ]; then
  echo "env.sh: nothing is built yet: run 'make setup' first" >&2
  unset _msga_root
  return 1
fi

# ROS (the wheels in .venv, or the distribution that was sourced at build time) and this package.
. "$_msga_root/install/setup.bash"
case ":$PATH:" in
  *":$_msga_root/.venv/bin:"*) ;;
  *) export PATH="$_msga_root/.venv/bin:$PATH" ;;
esac

# Stay on this machine: no chatter with other robots in the network.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"

# Big images need more shared memory than Fast DDS has by default; config/fastdds.xml says why.
# The first name is read by Fast DDS 2 (Humble, Jazzy), the second by Fast DDS 3 (Kilted).
if [ -z "${FASTRTPS_DEFAULT_PROFILES_FILE:-}${FASTDDS_DEFAULT_PROFILES_FILE:-}" ]; then
  export FASTRTPS_DEFAULT_PROFILES_FILE="$_msga_root/config/fastdds.xml"
  export FASTDDS_DEFAULT_PROFILES_FILE="$_msga_root/config/fastdds.xml"
fi

unset _msga_root
