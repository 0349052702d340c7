"""The `tradewire` command, one file per noun."""
