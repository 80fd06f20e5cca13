#!/usr/bin/env bash
# Shows two teams on one Fluent Bit: the records of each arrive at its own back-end, a hostile snippet of one is refused
# while everything else goes on, and the teams' tokens are in nothing that was written.
#
#   examples/tenants/run.sh          the show, then it stays up for you to play with, until Ctrl-C
#   examples/tenants/run.sh --once   the show alone
#
# Works on a copy of this directory. Uses a real Fluent Bit if one is found ($FLUENT_BIT, PATH, /fluent-bit/bin,
# /opt/fluent-bit/bin), else the container image by docker or podman. Without either it can only say the verdict.
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

work=$(mktemp -d "${TMPDIR:-/tmp}/fbs-tenants.XXXXXX")
mkdir -p "$work/logs/shop" "$work/logs/payments" "$work/run"
: >"$work/log" >"$work/records" >"$work/logs/shop/web.log"
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

copy() {  # LOGS SHOP_PORT PAYMENTS_PORT: the example, with these in place of /var/log/teams, 9881 and 9882
    local file
    (cd "$here" && find supervisor.yaml platform.d tenants.d secrets -type f) | while read -r file; do
        mkdir -p "$work/$(dirname "$file")"
        sed -e "s|/var/log/teams|$1|g" -e "s|9881|$2|g" -e "s|9882|$3|g" "$here/$file" >"$work/$file"
    done
    mv "$work/tenants.d/payments/hostile.yaml" "$work/hostile.yaml"  # comes later
}

free_ports() {  # N
    "$PYTHON" - "$1" <<'END'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
END
}

start_here() {  # BINARY
    local shop payments monitoring
    make_environment
    read -r shop payments monitoring < <(free_ports 3)
    copy "$work/logs" "$shop" "$payments"
    "$PYTHON" -m supervisor run --fluent-bit "$1" --settings "$work/supervisor.yaml" \
        --layer "platform=$work/platform.d" --layer "tenants=$work/tenants.d:tenant" \
        --secrets-directory "$work/secrets" --state-dir "$work/state" --run-dir "$work/run" \
        --fluent-bit-http-port "$monitoring" --api-metrics off --api-page off --health-probation 2s \
        >"$work/records" 2>"$work/log" &
    supervisor=$!
}

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

start_in_container() {
    container=fluent-bit-supervisor-tenants-$$
    copy /var/log/teams 9881 9882
    "$engine" run -d --name "$container" \
        -v "$work/supervisor.yaml:/fluent-bit/etc/supervisor.yaml:ro" \
        -v "$work/platform.d:/fluent-bit/etc/platform.d:ro" \
        -v "$work/tenants.d:/fluent-bit/etc/tenants.d:ro" \
        -v "$work/secrets:/fluent-bit/secrets:ro" \
        -v "$work/logs:/var/log/teams:ro" -e FBS_HEALTH_PROBATION=2s \
        fluent-bit-supervisor:quickstart >/dev/null
    "$engine" logs -f "$container" >"$work/records" 2>"$work/log" &
    supervisor=$!
}

ask() {
    if [ -n "$container" ]; then
        "$engine" exec "$container" fluent-bit-supervisor "$@"
    else
        "$PYTHON" -m supervisor "$@" --run-dir "$work/run"
    fi
}

only_the_verdict() {
    echo "No Fluent Bit was found, and no image could be built: nothing can run here."
    echo "Set FLUENT_BIT=/path/to/fluent-bit to see it. What can be told without one, of what the teams wrote:"
    make_environment
    "$PYTHON" -m supervisor check --no-dry-run --settings "$here/supervisor.yaml" \
        --layer "platform=$here/platform.d" --layer "tenants=$here/tenants.d:tenant" \
        --secrets-directory "$here/secrets" || true
}

wait_until_up() {
    for _ in $(seq 300); do
        ask status >/dev/null 2>&1 && return
        kill -0 "$supervisor" 2>/dev/null || fail "the supervisor ended"
        sleep 0.1
    done
    fail "not in sync within 30 s"
}

wait_for_record() {  # TEXT WHERE: in what is delivered from now on
    local from
    from=$(wc -l <"$work/records")
    for _ in $(seq 300); do
        # (whole lines are looked through: nothing closes a pipe early)
        if tail -n "+$((from + 1))" "$work/records" | awk -v text="$1" -v where="\"arrived_at\":\"$2\"" \
            'index($0, text) && index($0, where) && !n++ { print } END { exit !n }'; then
            return
        fi
        sleep 0.1
    done
    fail "no record with '$1' arrived at $2"
}

log_a_line() { date -u '+%Y-%m-%dT%H:%M:%S INFO order placed' >>"$work/logs/shop/web.log"; }

everybody_ships() {
    log_a_line
    wait_for_record 'order placed' shop
    wait_for_record 'transfer booked' payments
}

nothing_of_the_tokens() {
    local found
    found=$(grep -rl example-token "$work/log" "$work/records" "$work/run" 2>/dev/null || true)
    if [ -n "$container" ]; then
        found+=$("$engine" exec "$container" grep -rl example-token /var/lib/fluent-bit-supervisor || true)
    else
        found+=$(grep -rl example-token "$work/state" || true)
    fi
    [ -z "$found" ] || fail "a token stands in: $found"
    echo "none"
}

fluent_bit=$(find_fluent_bit)
if [ -n "$fluent_bit" ]; then
    echo "Fluent Bit: $fluent_bit ($("$fluent_bit" -V | head -n 1))"
    start_here "$fluent_bit"
else
    engine=$(build_image)
    if [ -z "$engine" ]; then
        only_the_verdict
        exit 0
    fi
    echo "Fluent Bit: in a container ($engine)"
    start_in_container
fi
wait_until_up

say "1. Two teams: shop tails its own file, payments subscribes to the logs of its containers. A record of each:"
everybody_ships

say "2. Payments adds hostile.yaml: the file of shop, a command, everybody's records, the cloud's metadata service."
mv "$work/hostile.yaml" "$work/tenants.d/payments/"
ask reload --wait 60s && fail "a hostile snippet went live"
echo
echo "status:"
ask status && fail "status should tell that something is kept out"
echo
echo "the log:"
grep -F 'payments/hostile.yaml' "$work/log" | awk 'NR == 1' || fail "nothing in the log"
echo
echo "and still, a record of each:"
everybody_ships

say "3. Files with a token in them, of all that was written (config, state, log, records):"
nothing_of_the_tokens

say "That was it."
if [ "$once" = yes ]; then
    exit 0
fi
cat <<END

It goes on running. Change what you like below $work (tenants.d, platform.d, secrets), and watch:

  records   tail -f $work/records
  log       tail -f $work/log
  a line    date -u '+%Y-%m-%dT%H:%M:%S INFO order placed' >>$work/logs/shop/web.log
  status    $([ -n "$container" ] && echo "$engine exec $container fluent-bit-supervisor status" || echo "$PYTHON -m supervisor status --run-dir $work/run")

Ctrl-C ends it and removes $work.
END
wait "$supervisor"
