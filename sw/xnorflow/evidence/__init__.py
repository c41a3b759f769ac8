"""A user's own proof: the file, the golden model, the Verilog and the netlist on the user's images.

Makes an `Evidence` of a model and images, and compares it with an earlier one. A file is executed
by ONNX Runtime or qonnx, which know nothing of the frontend. May import everything of the compiler,
`hw` and `sim`; what simulates a netlist is handed in, because it belongs to the boards.
"""

from xnorflow.evidence.proof import check
from xnorflow.evidence.record import Evidence

__all__ = ["Evidence", "check"]
