"""The service that owns the clocks of granted reservations: opens them, sends reminders, extends and ends them."""
