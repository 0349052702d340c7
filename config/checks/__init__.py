"""Find mistakes, doubtful values, loosened limits and limits without effect in the configuration files."""
