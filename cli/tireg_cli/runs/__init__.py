"""What `tireg runs` is made of: what is said of a run, the order of those that wait, shared options."""
