"""The pydantic models of the configuration files."""
