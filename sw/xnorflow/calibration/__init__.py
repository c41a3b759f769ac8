"""Choose fixed-point widths on data, and measure what the rounding does.

`widths` turns an imported network and calibration data into the integer network of the least width
that keeps its labels; `calibration_data` brings data, or drawn samples, into a network's order;
`distance` says per layer how far the integers are from the file in float64. May import `graph`,
`lower`, `ir`, `xnorflow.errors` and the golden model.
"""
