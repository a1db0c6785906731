"""What is learnt on one set of rows and scored on another, and how many labels that is worth there."""
