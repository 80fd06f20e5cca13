#!/bin/sh
# Which configuration does podman need on this machine? Printed, to be named by CONTAINERS_CONF: nothing in /etc changes.
#
# Without it podman asks for limits above the hard ones (an error where even root may not raise them), for systemd
# where there is none, and for crun, which gives up on machines whose cgroups are half version 1 and half version 2.
set -eu

echo '[containers]'
open=$(ulimit -Hn)
[ "$open" = unlimited ] || printf 'default_ulimits = ["nofile=%s:%s", "nproc=4096:4096"]\n' "$open" "$open"
echo '[engine]'
echo 'events_logger = "file"'
! command -v runc >/dev/null || echo 'runtime = "runc"'
[ -d /run/systemd/system ] || echo 'cgroup_manager = "cgroupfs"'
