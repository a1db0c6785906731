"""What goes wrong between a client and a service, and how it is done."""
