"""The demo's story: six runs on real data, some of them spoiled by a feed bug, and reruns that find out by what."""
