"""Benchmarks: ratios and figures, never tests. Run one as ``python -m benchmarks.read_ini``."""
