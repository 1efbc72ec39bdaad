"""Benchmarks of the whole pipeline, and what it is measured beside."""
