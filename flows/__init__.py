"""WHEN and in what order: what an operator sees and starts."""
