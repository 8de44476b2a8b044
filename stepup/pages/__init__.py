"""Templates, texts and built assets of the pages a subject sees."""
