#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs and this machine lacks: by apt when root, otherwise prints the command.
# usage: scripts/needs.sh demo|demo-kafka|demo-superset|test
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND...: the package, unless one of the commands is there
    local package=$1
    shift
    for command in "$@"; do
        if [ -e "$command" ] || command -v "$command" >/dev/null 2>&1; then return; fi
    done
    missing+=("$package")
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "A Rust toolchain is needed: see https://rustup.rs." >&2
    exit 1
fi
need gcc cc gcc
need g++ c++ g++
need make make
need pkg-config pkg-config
need zlib1g-dev /usr/include/zlib.h
need libssl-dev /usr/include/openssl/ssl.h
need postgresql /usr/lib/postgresql/*/bin/postgres postgres
need npm npm
need ca-certificates /etc/ssl/certs/ca-certificates.crt update-ca-certificates
if [ "${1:-}" = test ] || [ "${1:-}" = demo-kafka ]; then
    need openjdk-17-jre-headless "${JAVA_HOME:-/usr}/bin/java" java
    need maven mvn
fi
if [ "${1:-}" = test ]; then
    need postgresql-client psql
    need unzip unzip
    need xz-utils xz
    need curl curl
    need git git
    need chromium chromium
fi
if [ "${1:-}" = test ] || [ "${1:-}" = demo-superset ]; then
    # Debian's python3 comes without the module that makes virtual environments.
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then missing+=(python3 python3-venv); fi
fi

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
command=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are missing; install them with: sudo ${command[*]}" >&2
    exit 1
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
"${command[@]}" >/dev/null
