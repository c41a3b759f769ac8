"""A proof on a user's own images that file, golden model, Verilog and netlist give equal scores.

`check` runs them all and returns an `Evidence`, which can be compared with an earlier one. The file
is executed by ONNX Runtime or qonnx, without any code of the frontend. May import everything of the
compiler, `hw` and `sim`; the function that simulates a netlist is a parameter, because it belongs
to the boards.
"""

from xnorflow.evidence.proof import check
from xnorflow.evidence.record import Evidence

__all__ = ["Evidence", "check"]
