"""Rule packs: rules of firms that lend accounts, as TOML files, and the code that joins them with executors' rules."""
