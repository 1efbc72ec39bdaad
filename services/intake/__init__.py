"""Intake takes requests of portals over HTTP and on topics, checks them and publishes them in order of receipt."""
