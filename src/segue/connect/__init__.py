"""Home media servers and exports of other services: what they hold becomes items and events."""
