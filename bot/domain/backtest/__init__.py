"""A configuration held against history: what it would have filed, what it would have missed, what it costs in noise."""
