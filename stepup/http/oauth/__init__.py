"""The authorization server's endpoints, one file each."""
