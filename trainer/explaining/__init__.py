"""Why a model gave its answer: which words or purchases carried it, by what method, and whether that holds."""
