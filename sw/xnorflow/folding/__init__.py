"""Choose the folding: a network and a target become PE, SIMD and pixels at once per layer.

May import `design`, `resources`, `plan`, `schedule`, `storage`, `devices` and `ir`.
"""
