"""Shared by both simulators: the HTTP server, the control calls, the clock, faults and storage."""
