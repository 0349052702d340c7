"""The MCP server: tools with which an assistant reads the record and, if allowed, acts on accounts."""
