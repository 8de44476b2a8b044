"""The edge: Litestar and nothing else."""
