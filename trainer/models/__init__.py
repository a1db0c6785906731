"""Models and scorers: where they come from, what they compute, how they are saved."""
