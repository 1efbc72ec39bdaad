"""The rows of the notifier: the only modules of the service that contain SQL."""
