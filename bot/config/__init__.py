"""The configuration: its models, the file it is read from, and the one that `herald init` writes."""
