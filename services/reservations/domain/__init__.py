"""The rules of reservations. Pure: no I/O, no framework; the time of a decision is an argument."""
