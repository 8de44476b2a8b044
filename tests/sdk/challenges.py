"""A reader of `WWW-Authenticate` (RFC 9110 section 11.6.1), written apart from what writes it."""


def read_challenge(field):
    """Return the scheme and the parameters; each may occur once."""
    scheme, _, rest = field.partition(" ")
    parameters = {}
    while rest:
        name, equals, rest = rest.partition("=")
        assert equals
        assert name.replace("_", "").isalnum()
        assert name not in parameters
        if rest.startswith('"'):
            value, quote, rest = rest[1:].partition('"')
            assert quote
        else:
            value, comma, rest = rest.partition(",")
            rest = comma + rest
            assert value.isalnum()
        parameters[name] = value
        if rest:
            assert rest.startswith(",")
            rest = rest[1:].lstrip()
    return scheme, parameters
