"""The programs that people and services start: command line, web, MCP, terminal and supervisor."""
