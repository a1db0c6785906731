"""The services behind the ports, a module each; the modules beside them are what several need."""
