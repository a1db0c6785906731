"""What one run says: judged, stored, and told."""
