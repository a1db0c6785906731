"""Every text that Herald writes, to look at in a browser: with samples, or with what the state holds."""
