"""Raw tables to snapshots: cleaned, counted, split in time."""
