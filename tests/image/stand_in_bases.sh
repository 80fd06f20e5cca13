#!/bin/bash
# Makes stand-ins for the images that image/Dockerfile starts from, for machines that cannot fetch the official ones.
#
# usage: stand_in_bases.sh PATH/TO/fluent-bit [DIRECTORY-OF-ITS-CONF-FILES]
#
# Needs podman, mmdebstrap and a Debian mirror; as root; about a minute, 600 MB. It builds nothing of Fluent Bit: the
# binary is copied (stripped where there is `strip`). An image that exists is left as it is, official or not. All that
# is made here carries the label stand-in=true; to be rid of it:
#     podman rmi -f $(podman images -q --filter label=stand-in=true)
set -euo pipefail

case "${1:-}" in
    '' | -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
binary=$1 conf=${2:-}
[ -x "$binary" ] || { echo "$0: $binary is no program" >&2; exit 2; }
for tool in podman mmdebstrap; do
    command -v $tool >/dev/null || { echo "$0: $tool is missing: apt-get install podman runc netavark mmdebstrap" >&2; exit 2; }
done

readonly DEBIAN=docker.io/library/debian:trixie-slim
readonly PYTHON=docker.io/library/python:3.13-slim-trixie
readonly FLUENT_BIT=docker.io/fluent/fluent-bit:5.1.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${CONTAINERS_CONF:-}" ]; then
    "$(dirname "$0")/containers_conf.sh" > "$work/containers.conf"
    export CONTAINERS_CONF=$work/containers.conf
fi

missing() { # IMAGE
    ! podman image exists "$1" || { echo "$1 is there"; return 1; }
    echo "$1: making a stand-in"
}

build() { # IMAGE CONTEXT [OPTION...]
    podman build --quiet --pull=never --network=host --label stand-in=true -t "$1" "${@:3}" "$2"
}

mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb .*\(https\{0,1\}:[^ ]*\).*/\1/p' | head -n 1) || true

if missing $DEBIAN; then
    # minbase is what comes nearest to the official slim image
    mmdebstrap --quiet --variant=minbase --include=ca-certificates \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        trixie "$work/trixie.tar" "${mirror:-http://deb.debian.org/debian}"
    podman import --quiet --change 'LABEL stand-in=true' --change 'CMD ["bash"]' "$work/trixie.tar" $DEBIAN
fi

if missing $PYTHON; then
    # Debian's own Python under the official image's names. That one has no compiled standard library: nor has this.
    mkdir "$work/python"
    cat > "$work/python/Dockerfile" <<D
FROM $DEBIAN
RUN export DEBIAN_FRONTEND=noninteractive \\
 && apt-get update \\
 && apt-get install -y --no-install-recommends python3 python3-venv python3-pip \\
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \\
 && find /usr/lib/python3* -name '*.pyc' -delete \\
 && for name in python python3 python3.13; do ln -s /usr/bin/python3 /usr/local/bin/\$name; done \\
 && ln -s /usr/bin/pip3 /usr/local/bin/pip
ENV LANG=C.UTF-8
CMD ["python3"]
D
    build $PYTHON "$work/python"
fi

tree=$work/fluent-bit
mkdir -p "$tree/etc"
cat > "$tree/Dockerfile" <<D
FROM $DEBIAN AS debug
RUN export DEBIAN_FRONTEND=noninteractive \\
 && apt-get update \\
 && apt-get install -y --no-install-recommends libssl3t64 libcurl4t64 libsasl2-2 libsystemd0 zlib1g libyaml-0-2 \\
        libatomic1 libpq5 libldap2 procps \\
 && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY fluent-bit /fluent-bit/bin/fluent-bit
COPY etc /fluent-bit/etc
RUN mkdir /fluent-bit/log && /fluent-bit/bin/fluent-bit -J > /fluent-bit/etc/schema.json
ENV FLUENT_BIT_VERSION=5.1.1
EXPOSE 2020
CMD ["/fluent-bit/bin/fluent-bit", "-c", "/fluent-bit/etc/fluent-bit.conf"]

# what the binary needs and nothing else, as in the official image: no shell, no package manager
FROM debug AS tree
RUN mkdir -p -m 1777 /tree/tmp && mkdir -p /tree/etc \\
 && ldd /fluent-bit/bin/fluent-bit | grep -o '/[^ ]*' | xargs cp -L --parents -t /tree \\
 && cp -a --parents /etc/ssl/certs /usr/share/ca-certificates /fluent-bit /tree \\
 && printf 'root:x:0:0:root:/root:/sbin/nologin\\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\\n' > /tree/etc/passwd \\
 && printf 'root:x:0:\\nnonroot:x:65532:\\n' > /tree/etc/group

FROM scratch AS production
COPY --from=tree /tree /
ENV FLUENT_BIT_VERSION=5.1.1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 2020
ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]
CMD ["/fluent-bit/bin/fluent-bit", "-c", "/fluent-bit/etc/fluent-bit.conf"]
D
strip -o "$tree/fluent-bit" "$binary" 2>/dev/null || cp "$binary" "$tree/fluent-bit"
chmod 755 "$tree/fluent-bit"
for name in fluent-bit parsers parsers_ambassador parsers_java parsers_extra parsers_openstack parsers_cinder plugins; do
    if [ -n "$conf" ]; then cp "$conf/$name.conf" "$tree/etc/"; else echo '# a stand-in' > "$tree/etc/$name.conf"; fi
done
if [ -z "$conf" ]; then
    cat > "$tree/etc/fluent-bit.conf" <<'C'
[SERVICE]
    flush        1
    parsers_file parsers.conf
    plugins_file plugins.conf
    http_server  Off
[INPUT]
    name cpu
    tag  cpu.local
[OUTPUT]
    name  stdout
    match *
C
    cat > "$tree/etc/parsers.conf" <<'C'
[PARSER]
    name   json
    format json
[PARSER]
    name        docker
    format      json
    time_key    time
    time_format %Y-%m-%dT%H:%M:%S.%L
    time_keep   on
[PARSER]
    name        cri
    format      regex
    regex       ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$
    time_key    time
    time_format %Y-%m-%dT%H:%M:%S.%L%z
C
    echo '[PLUGINS]' > "$tree/etc/plugins.conf"
fi
if missing $FLUENT_BIT-debug; then build $FLUENT_BIT-debug "$tree" --target debug; fi
if missing $FLUENT_BIT; then build $FLUENT_BIT "$tree" --target production; fi
