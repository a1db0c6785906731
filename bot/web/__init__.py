"""What people and machines see of a Herald in a browser: pages, health, metrics; nothing here changes anything."""
