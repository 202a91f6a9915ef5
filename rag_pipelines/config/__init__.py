"""Configuration: the only reader of `configs/` and of the environment."""
