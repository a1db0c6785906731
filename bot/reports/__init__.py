"""What people read of the state: finished strings for runs, findings, the digest and the overview."""
