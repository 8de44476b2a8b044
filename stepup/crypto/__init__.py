"""Signing, sealing and digesting; every key comes in as an argument."""
