"""`stepup cluster`: the whole service as on several hosts, on one machine, to break and to mend."""
