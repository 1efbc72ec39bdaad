"""Tests of the contracts: what is published stays readable, and what is sealed stays sealed."""
