"""Turn webhook deliveries into signals, or into refusals that are kept."""
