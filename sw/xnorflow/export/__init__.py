"""Makes files of an integer network for other tools: models, weights, steps of the lowering.

A model file is executed after it was written and has to give the golden model's scores, all of
them. May import `frontend`, `lower`, `graph`, `ir`, the executor of `evidence` and the golden
model.
"""

from xnorflow.export.checked import export_network, export_steps
from xnorflow.export.weight_files import save_weights

__all__ = ["export_network", "export_steps", "save_weights"]
