"""`stepup policy`: one module per verb, imported when it is called for."""
