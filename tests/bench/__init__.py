"""Benchmarks of the whole pipeline, and the two programs that it is compared with."""
