"""Pure rules of the notifier: no I/O, and the current time is an argument."""
