from stepup.crypto import jwts


def test_shows_no_key():
    assert repr(jwts.Key(algorithm="HS256", key=b"secret")) == "Key(HS256, ***)"
