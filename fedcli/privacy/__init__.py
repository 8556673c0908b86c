"""What a run's differential privacy comes to: mechanisms, the accountant, and what it does not cover."""
