"""Build the report: one HTML page that loads nothing, from a template and live charts.

`sections_*` turn designs, comparisons and proofs into the blocks of `page_blocks`; `render` puts
them into the template. The charting library lies beside its licence.
"""
