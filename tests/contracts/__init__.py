"""Tests of the contracts: published messages stay readable, sealed data stays sealed."""
