"""The HTTP API of intake for portals: `/v1`, the published keys, and the documentation at `/docs`."""
