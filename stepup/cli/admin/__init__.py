"""`stepup admin`: who administers."""
