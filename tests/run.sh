#!/usr/bin/env bash
# Runs every test. Makes its own environment; needs Python 3.11 and a package index. Arguments go to pytest.
#
# What needs a real Fluent Bit ($FLUENT_BIT, PATH, /fluent-bit/bin, /opt/fluent-bit/bin), namespaces or podman is skipped
# where that is not to be had; the last lines say how many tests met the real binary and how many were skipped.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/examples/environment.sh"

make_environment test
cd "$root"
# Most of a test is waiting for a process: more of them at once than there are cores.
jobs=${JOBS:-$(($(getconf _NPROCESSORS_ONLN) * 2))}
exec "$PYTHON" -m pytest --numprocesses "$jobs" --dist loadfile "$@"
