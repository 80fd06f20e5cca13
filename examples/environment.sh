# Sourced: makes the virtual environment that this checkout's scripts run in, once, and again when pyproject.toml changes.
# Sets PYTHON to its interpreter. Usage: make_environment [EXTRA]
# Also knows where a real Fluent Bit may be.

find_python() {
    for candidate in ${PYTHON_FOR_ENVIRONMENT:-} python3.13 python3.12 python3.11 python3.14 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and none was found on PATH." >&2
    return 1
}

find_fluent_bit() { # prints the path of a real Fluent Bit, or nothing
    local candidate
    for candidate in "${FLUENT_BIT:-}" "$(command -v fluent-bit || true)" /fluent-bit/bin/fluent-bit /opt/fluent-bit/bin/fluent-bit; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
}

make_environment() {
    local extra=${1:-} place base wanted
    place=${ENVIRONMENT_DIRECTORY:-$root/.venv${extra:+-$extra}}
    base=$(find_python) || return 1
    wanted="$base $extra $(cksum <"$root/pyproject.toml")"
    PYTHON=$place/bin/python
    if [ -x "$PYTHON" ] && grep -qxF "$wanted" "$place/made-from" 2>/dev/null; then
        return
    fi
    echo "making a virtual environment in $place ..." >&2
    if ! "$base" -m venv --clear "$place" >&2; then
        echo "cannot make a virtual environment with $base (on Debian: apt-get install python3-venv)" >&2
        return 1
    fi
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -e "$root${extra:+[$extra]}" >&2 || return 1
    echo "$wanted" >"$place/made-from"
}
