"""The rules of the arbiter: who holds a client. Pure functions and frozen types; no I/O."""
