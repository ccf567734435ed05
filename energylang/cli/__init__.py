"""The command line: one file a subcommand, what is heavy imported inside functions."""
