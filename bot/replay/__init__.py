"""This configuration on the history that is there: what would have been filed, missed and false."""
