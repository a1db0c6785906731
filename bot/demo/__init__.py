"""The demo's story: seven runs on real data, one of them spoiled by a feed bug."""
