"""QR codes as SVG files, for `<img>`: inline they would need styles that the CSP forbids."""

from io import BytesIO

import segno


def svg(text: str) -> bytes:
    """Draw a QR code, black on white in every theme, because scanners expect that."""
    out = BytesIO()
    segno.make_qr(text, error="m").save(
        out, kind="svg", scale=4, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return out.getvalue()
