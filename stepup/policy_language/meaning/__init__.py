"""What a change of a document means, in words: what an approver must see before it holds."""
