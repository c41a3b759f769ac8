"""Plain descriptions of an accelerator: the compiler decides them, the hardware is built from them.

Imports no Amaranth, so that the cycle model reads the same objects; only `base` of the project.
"""
from xnorflow_hw.spec.accelerator import *
