"""Learning words: configuration, data, objective, optimisers and the one loop they meet in."""
