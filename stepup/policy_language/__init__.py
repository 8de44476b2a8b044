"""From policy text to a domain policy, with findings that point at line and column."""
