"""What is shipped in deploy/, held to the tools of those it is for."""
