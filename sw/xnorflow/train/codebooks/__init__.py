"""Codebooks of product-quantised layers: how they are found, and what they save."""
