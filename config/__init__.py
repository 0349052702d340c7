"""The configuration files that users edit, and the code that reads and checks them."""
