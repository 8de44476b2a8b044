"""Pure checks of what an authenticator sent; the only importers of py_webauthn and pyotp."""
