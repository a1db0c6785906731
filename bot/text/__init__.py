"""Text as people read it: numbers and dates, tables, and what is not ours written letter for letter."""
