"""Owns the clocks of reservations that the gateway granted: opens them, and ends them on time."""
