"""What both simulators share: serving over HTTP, the control calls, the clock, faults and storage."""
