"""Jobs as processes of this machine, each with a keeper of its own."""
