"""Tests of whole systems under failures: kills, outages, broken connections, a full disk, frozen instances."""
