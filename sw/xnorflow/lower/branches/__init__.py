"""Lower imported networks that branch.

1. `segments` cuts the graph into chains between forks, joins and ends; the passes of
   `xnorflow.lower.passes` work on each chain.
2. `walk` goes along the pieces. `branch_pending` is a `Pending` that begins at a value between two
   pieces, and `write_layers` writes the layers of a chain as ever.
3. `settle_operands` brings what a join reads to ``factor * integer + offset``, an `operand`.
   `affine_form` finds these constants, `common_unit` one unit for several operands. Where there is
   none, fixed point rounds to the unit that `streams` has for all joins of a stream, and
   `round_weights` the weights.
4. `write_joins`, `write_concat` and `write_stretches` write the layers, `write_outputs` the scores
   of each output.
5. `tidying` merges equal layers, drops those that nobody reads, and merges sums.

No layer before a fork is changed for the sake of one of its readers.
"""
