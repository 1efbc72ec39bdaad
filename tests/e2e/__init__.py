"""Tests of the whole system as real processes, through its public interfaces."""
