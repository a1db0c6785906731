"""The tasks: next item, relevance, retrieval; each a loaded task and a model ready to be scored."""
