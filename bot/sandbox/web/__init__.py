"""What every stand-in service is made of: requests and answers, addresses, the database, files, pages for people."""
