"""Training: the training set, the one loop, and models with their cards."""
