"""What must never be lost once acknowledged: policies, clients, authenticators, keys, audit."""
