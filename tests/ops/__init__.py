"""Tests of the operators' commands that need no server. `tests/chassis/test_dead_letters.py` runs the commands."""
