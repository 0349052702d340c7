"""Find mistakes, doubtful values, loosened limits and unreachable rules in the configuration files."""
