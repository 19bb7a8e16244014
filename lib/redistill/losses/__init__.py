"""What a student may be held to: one loss a file."""
