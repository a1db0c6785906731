"""What commands print: tables for people, one JSON object for scripts."""
