#!/usr/bin/env bash
# A container engine and the images of the tests, made from nothing where they are missing:
#   mellea-jupyter-test/base:1     only Python, from the distribution's own packages
#   mellea-jupyter-test/mellea:1   with mellea, from the Dockerfile that users build from
# Both stay in the engine, so a second call takes a moment. Needs root, docker.io and debootstrap
# unless an engine answers already. The engine that it starts goes on running; its process id is in
# $folder/dockerd.pid.
set -euo pipefail
cd "$(dirname "$0")/.."

base=mellea-jupyter-test/base:1
image=mellea-jupyter-test/mellea:1
folder=${MELLEA_ENGINE_DIR:-/var/tmp/mellea-jupyter-engine}
suite=${MELLEA_DEBIAN_SUITE:-bookworm}
mirror=${MELLEA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$folder"

start_engine() {
    setsid dockerd --pidfile "$folder/dockerd.pid" "$@" \
        >"$folder/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 100); do
        docker version >/dev/null 2>&1 && return
        sleep 0.2
    done
    return 1
}

if ! docker version >/dev/null 2>&1; then
    echo "Starting a container engine"
    start_engine || { tail -20 "$folder/dockerd.log" >&2; exit 1; }
fi

if ! docker image inspect "$base" >/dev/null 2>&1; then
    echo "Making $base from $suite"
    rootfs=$(mktemp -d)
    trap 'rm -rf "$rootfs"' EXIT
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip \
        "$suite" "$rootfs" "$mirror" >"$folder/debootstrap.log" \
        || { tail -20 "$folder/debootstrap.log" >&2; exit 1; }
    rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/*
    settings=(-c 'ENV PATH=/usr/local/bin:/usr/bin:/bin')
    bundle=/etc/ssl/certs/ca-certificates.crt
    if [[ -r $bundle ]]; then # where a proxy signs for the package index, this machine knows it
        cp "$bundle" "$rootfs$bundle"
        settings+=(-c "ENV PIP_CERT=$bundle")
    fi
    tar -C "$rootfs" -c . | docker import "${settings[@]}" - "$base" >/dev/null
fi

dockerfile=mellea_jupyter/environments/image/Dockerfile
requirement=$(sed -n 's/^  "\(mellea>=[^"]*\)",$/\1/p' pyproject.toml)
stamp=$( (cat $dockerfile; echo "$requirement") | sha256sum | cut -c1-16)
built=$(docker image inspect -f '{{index .Config.Labels "stamp"}}' "$image" 2>/dev/null || true)
if [[ $built != "$stamp" ]]; then
    echo "Building $image with $requirement"
    context=$(mktemp -d)
    cp $dockerfile "$context"
    echo "$requirement" >"$context/requirements.txt"
    # The build reaches the package index as this machine does. The classic builder finds a base
    # image that only this engine has.
    DOCKER_BUILDKIT=0 docker build --network host --build-arg BASE="$base" --label stamp="$stamp" \
        --tag "$image" "$context" >"$folder/build.log" 2>&1 \
        || { tail -30 "$folder/build.log" >&2; exit 1; }
    rm -rf "$context"
fi
