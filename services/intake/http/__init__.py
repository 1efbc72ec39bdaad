"""Intake over HTTP: `/v1`, for portals."""
