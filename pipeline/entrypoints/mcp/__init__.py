"""The MCP server: what an assistant may ask of the record, and, where it was allowed, do."""
