"""What a caller can ask: async functions of the ports."""
