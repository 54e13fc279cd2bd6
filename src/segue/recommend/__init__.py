"""Strategies, the learned blend over them, and reasons. No strategy stores a person."""
