"""Runs the command line: ``python -m xnorflow``."""

from xnorflow.cli import main

if __name__ == "__main__":
    main(prog_name="xnorflow")
