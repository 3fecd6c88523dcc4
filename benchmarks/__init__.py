"""Side-by-side measurements. Each prints ratios from one run: the machines they run on are shared and noisy."""
