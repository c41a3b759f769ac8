"""The compiled design: network, folding, hardware and prediction; on disk and in simulation.

May import `plan`, `resources`, `schedule`, `devices`, `ir`, `xnorflow_hw` and, to simulate,
`xnorflow_sim`.
"""
