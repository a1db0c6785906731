"""Looking for the settings of a job: trials on the valid rows."""
