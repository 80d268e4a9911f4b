"""Training runs in the background: the queue, its worker processes, and what can be done to a run."""
