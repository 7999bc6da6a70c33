#!/usr/bin/env bash
# Everything from a fresh copy to a running program, in one command:
#
#   bash docs/setup.sh demo      install, then search the built-in sample scan in napari (a picture where there is no screen)
#   bash docs/setup.sh test      install with the test tools, then run the tests (more words go to pytest; -n 0 for one process)
#   bash docs/setup.sh install   install with the test tools, and nothing else
#
# It installs system packages only where apt-get is there and some are missing, and all Python packages into the folder .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "$(uname)" in
    MINGW* | MSYS* | CYGWIN*) bin=.venv/Scripts ;;
    *) bin=.venv/bin ;;
esac

say() { printf '\n== %s\n' "$*"; }

has_screen() { [ "$(uname)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; }

# A Python of at least 3.11 that can make a virtual environment.
find_python() {
    local name
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        if [ -n "$name" ] && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

# Libraries that Qt and OpenGL load on Linux, and a screen in memory where there is no other (the tests always use it).
needed_packages() {
    echo libgl1 libegl1 libgl1-mesa-dri libglx-mesa0 libopengl0 libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0 libxcb-icccm4 \
        libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libfontconfig1 \
        libglib2.0-0 fonts-dejavu-core
    if [ "$1" != demo ] || ! has_screen; then echo xvfb xauth; fi
    if [ "$1" != demo ]; then echo dicom3tools poppler-utils; fi # read the DICOM and PDF files that are written
    if [ ! -x .venv/bin/python ] && [ -z "$(find_python)" ]; then echo python3 python3-venv; fi
}

installed() { # newer Debian and Ubuntu add t64 to some names
    { dpkg-query -W -f '${db:Status-Status}\n' "$1" "${1}t64" 2>/dev/null || true; } | grep -x installed >/dev/null
}

system_packages() {
    [ "$(uname)" = Linux ] || return 0
    local name missing=() root=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "This is not Debian or Ubuntu: no system package was installed. If napari does not start, look for these (Debian's names):"
        needed_packages "$1"
        return 0
    fi
    for name in $(needed_packages "$1"); do installed "$name" || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "These system packages are missing; ask an administrator to install them: ${missing[*]}"
            return 0
        fi
        root=(sudo)
    fi
    say "Installing system packages with apt-get: ${missing[*]}"
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

environment() {
    if [ ! -x "$bin/python" ]; then
        local python
        python=$(find_python)
        if [ -z "$python" ]; then
            say "Python 3.11 or newer with its venv module was not found. Install it, or name one: PYTHON=/path/to/python3 bash docs/setup.sh $1"
            exit 1
        fi
        say "Making a virtual environment in .venv"
        "$python" -m venv .venv
    fi
    say "Installing Python packages into .venv (PyTorch and napari are large; the first time takes minutes)"
    "$bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    if [ "$1" = demo ]; then
        "$bin/python" -m pip install --quiet ".[app]"
    else
        "$bin/python" -m pip install --quiet -e ".[app]" --group test
    fi
}

case "${1:-}" in
    demo | test | install) verb=$1 && shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
esac

system_packages "$verb"
environment "$verb"

case "$verb" in
    demo)
        if has_screen; then
            say "Opening napari with the built-in sample"
            "$bin/liver-anomaly" demo "$@"
        else
            say "There is no screen here: napari draws in memory, and the picture goes to demo.png"
            xvfb-run -a -s "-screen 0 1600x1000x24" "$bin/liver-anomaly" demo --screenshot demo.png "$@"
        fi
        ;;
    test)
        say "Running the tests, in two processes"
        "$bin/python" -m pytest -n 2 --dist loadscope "$@"
        ;;
esac
