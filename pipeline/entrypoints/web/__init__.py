"""The web process: the HTTP API, webhooks and the page."""
