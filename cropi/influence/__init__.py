"""Which direction a prompt pushes: the off-policy estimator, gradient engines, scores."""
