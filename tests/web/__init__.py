"""The pages in a browser: over real HTTP, and in a real one."""
