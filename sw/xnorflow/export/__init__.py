"""Files of an integer network for other tools: ONNX models, weights, and steps of the lowering.

Each model file is executed after it is written, and all its scores have to be those of the golden
model. May import `frontend`, `lower`, `graph`, `ir`, the executor of `evidence` and the golden
model.
"""

from xnorflow.export.checked import export_network, export_steps
from xnorflow.export.weight_files import save_weights

__all__ = ["export_network", "export_steps", "save_weights"]
