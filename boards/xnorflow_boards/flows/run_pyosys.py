"""Runs a Yosys script in the library that the package ``pyosys`` brings: ``run_pyosys.py FILE``."""

import sys

from pyosys import libyosys

if __name__ == "__main__":
    libyosys.run_pass(f"script {sys.argv[1]}", libyosys.Design())
