"""Text to domain policy: documents, their findings, and the conditions inside them; no I/O."""
