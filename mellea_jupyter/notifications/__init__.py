"""What users are told, and the channels that carry it."""
