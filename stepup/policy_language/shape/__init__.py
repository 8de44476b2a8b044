"""What a document may hold: every field with its type, its limits and what it means.

These types are the one source of field names. The reader takes no field that is not here, the
JSON Schema and the reference of `docs/` are made from them. They are never decoded into: the
reader keeps places, which decoding would lose.
"""
