#!/usr/bin/env bash
# Shows the supervisor at work: a snippet goes live, a broken one is refused while logs flow on, the fix goes live.
#
#   examples/quickstart/run.sh          the show, then it stays up for you to play with, until Ctrl-C
#   examples/quickstart/run.sh --once   the show alone
#
# Uses a real Fluent Bit if one is found ($FLUENT_BIT, PATH, /fluent-bit/bin, /opt/fluent-bit/bin), else the container
# image by docker or podman, else a simulator, and says which.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/examples/environment.sh"

once=no
case "${1:-}" in
    --once) once=yes ;;
    "") ;;
    *) echo "usage: $0 [--once]" >&2; exit 2 ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/fbs-quickstart.XXXXXX")
mkdir -p "$work/snippets" "$work/run"
: >"$work/log" >"$work/records"
supervisor=
container=
engine=

finish() {
    trap - EXIT
    trap '' INT TERM
    if [ -n "$container" ]; then
        "$engine" rm -f "$container" >/dev/null 2>&1 || true
    elif [ -n "$supervisor" ]; then
        kill "$supervisor" 2>/dev/null || true
        wait "$supervisor" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { echo "$*" >&2; [ -s "$work/log" ] && tail -n 30 "$work/log" >&2; exit 1; }

build_image() {  # prints the engine that has the image
    for candidate in docker podman; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" info >/dev/null 2>&1; then
            echo "no Fluent Bit here: building the image with $candidate (once; this takes a while) ..." >&2
            if "$candidate" build ${QUICKSTART_BUILD_ARGS:-} -q -t fluent-bit-supervisor:quickstart \
                -f "$root/image/Dockerfile" "$root" >"$work/build" 2>&1; then
                echo "$candidate"
                return
            fi
            echo "the image could not be built with $candidate: $(tail -n 1 "$work/build")" >&2
        fi
    done
}

banner() {
    echo
    echo "########################################################################"
    echo "#  SIMULATOR: no Fluent Bit was found, and no image could be built.    #"
    echo "#  What answers below is a stand-in that imitates Fluent Bit for tests.#"
    echo "#  Set FLUENT_BIT=/path/to/fluent-bit to see the real one.             #"
    echo "########################################################################"
}

start_here() {  # BINARY
    make_environment
    "$PYTHON" -m supervisor run --fluent-bit "$1" --layer "platform=$work/snippets" \
        --state-dir "$work/state" --run-dir "$work/run" --fluent-bit-http-port "$(free_port)" \
        --api-metrics off --api-page off --health-probation 2s --log-format text \
        >"$work/records" 2>"$work/log" &
    supervisor=$!
}

start_in_container() {
    container=fluent-bit-supervisor-quickstart-$$
    "$engine" run -d --name "$container" -v "$work/snippets:/fluent-bit/etc/platform.d:ro" \
        -e FBS_HEALTH_PROBATION=2s -e FBS_LOG_FORMAT=text fluent-bit-supervisor:quickstart >/dev/null
    "$engine" logs -f "$container" >"$work/records" 2>"$work/log" &
    supervisor=$!
}

free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

ask() {
    if [ -n "$container" ]; then
        "$engine" exec "$container" fluent-bit-supervisor "$@"
    else
        "$PYTHON" -m supervisor "$@" --run-dir "$work/run"
    fi
}

wait_until_up() {
    for _ in $(seq 300); do
        ask status >/dev/null 2>&1 && return
        [ $? -ne 3 ] && return
        kill -0 "$supervisor" 2>/dev/null || fail "the supervisor ended"
        sleep 0.1
    done
    fail "the supervisor did not come up"
}

wait_for_record() {  # TEXT: in what is delivered from now on
    local from
    from=$(wc -l <"$work/records")
    for _ in $(seq 300); do
        if tail -n "+$((from + 1))" "$work/records" | grep -m 1 -F "$1"; then
            return
        fi
        sleep 0.1
    done
    fail "no record with '$1' arrived"
}

save() {  # as a careful editor does: write beside, then rename
    cp "$here/$1" "$work/snippets/.new"
    mv "$work/snippets/.new" "$work/snippets/hello.yaml"
}

show() {
    echo "--- hello.yaml"
    cat "$work/snippets/hello.yaml"
    echo "---"
}

fluent_bit=$(find_fluent_bit)
if [ -n "$fluent_bit" ]; then
    echo "Fluent Bit: $fluent_bit ($("$fluent_bit" -V | head -n 1))"
    start_here "$fluent_bit"
else
    engine=$(build_image)
    if [ -n "$engine" ]; then
        echo "Fluent Bit: in a container ($engine)"
        start_in_container
    else
        banner
        make_environment
        start_here "$root/tests/doubles/fake_fluent_bit.py"
    fi
fi
wait_until_up

say "1. A snippet is saved: it is checked, installed and applied."
save 1-good.yaml
show
ask reload --wait 60s || fail "it did not go live"
echo "a record of it:"
wait_for_record "hello, world"

say "2. Somebody makes a mistake: it is refused with its line, and logs flow on."
save 2-broken.yaml
show
ask reload --wait 60s && fail "a broken snippet went live"
ask status || true
echo
echo "and still:"
wait_for_record "hello, world"

say "3. The mistake is mended: the new version goes live."
save 3-fixed.yaml
show
ask reload --wait 60s || fail "the fix did not go live"
echo "a record of it:"
wait_for_record "hello again"
ask status

say "That was it."
if [ "$once" = yes ]; then
    exit 0
fi
cat <<EOF

It goes on running. Edit $work/snippets/hello.yaml, or put more *.yaml or *.conf files beside it, and watch:

  records   tail -f $work/records
  log       tail -f $work/log
  status    $([ -n "$container" ] && echo "$engine exec $container fluent-bit-supervisor status" || echo "$PYTHON -m supervisor status --run-dir $work/run")

Ctrl-C ends it and removes $work.
EOF
wait "$supervisor"
