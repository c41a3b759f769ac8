"""Estimates of what a design takes and gives on FPGAs and GPUs, each figure with its kind."""
