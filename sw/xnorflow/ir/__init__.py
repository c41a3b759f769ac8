"""The integer network.
"""
from xnorflow.ir.network import *
