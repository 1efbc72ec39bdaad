"""Tests of the whole project; `simulators` holds the stand-ins for foreign systems."""
