"""Run a Yosys script with the library of the package ``pyosys``: ``run_pyosys.py FILE``."""

import sys

from pyosys import libyosys

if __name__ == "__main__":
    libyosys.run_pass(f"script {sys.argv[1]}", libyosys.Design())
