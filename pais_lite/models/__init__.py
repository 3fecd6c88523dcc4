"""Which model answers, and how it is spoken to."""
