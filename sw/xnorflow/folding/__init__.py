"""Choose the folding: PE, SIMD and pixels at once of each layer, for a network and a target.

May import `design`, `resources`, `plan`, `schedule`, `storage`, `devices` and `ir`.
"""
