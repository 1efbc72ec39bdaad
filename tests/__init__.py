"""Tests of the whole project; `simulators` has the stand-ins for foreign systems."""
