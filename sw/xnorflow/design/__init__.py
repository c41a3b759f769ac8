"""The compiled design: network, folding, hardware and predicted timing, on disk and simulated.

May import `plan`, `resources`, `schedule`, `devices`, `ir`, `xnorflow_hw` and, to simulate,
`xnorflow_sim`.
"""
