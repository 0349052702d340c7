"""The routes of the HTTP API, and the login, sessions and tokens that guard them."""
