"""Rule packs: the rules of firms that lend accounts, as data, and how they join an executor's own."""
