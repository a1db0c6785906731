"""What the process itself is made of: its clock, its log, deadlines, private files."""
