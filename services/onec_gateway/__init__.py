"""The only service that talks to 1C, and the arbiter of who holds a client."""
