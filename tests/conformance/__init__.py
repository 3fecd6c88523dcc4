"""Real, unmodified clients against `pais run`: what they make of its answers is what counts."""
