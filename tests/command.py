"""The `tradewire` command with all subcommands, for tests that run it in their own process."""

from pipeline.entrypoints.cli.commands import build

app = build()
