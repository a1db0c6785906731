"""The demo's story: six runs and a rerun on real data, one of them spoiled by a feed bug."""
