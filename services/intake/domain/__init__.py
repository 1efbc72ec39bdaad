"""Rules of intake: pure functions of a state, a message and the time."""
