"""The built files: small enough, unchangeable by name, and what the manifest says."""

import gzip
import hashlib
from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest

from stepup.pages import assets, qr

# UX section 8: a page must be there at once on a slow line too.
BUDGETS = {"stepup.css": 8_000, "stepup.ts": 6_000}


@pytest.mark.parametrize(("source", "budget"), BUDGETS.items())
def test_a_file_is_within_its_budget(source, budget):
    assert len(gzip.compress(assets.built()[source].content, 9, mtime=0)) <= budget


def test_there_is_nothing_but_what_pages_load():
    assert set(assets.built()) == set(BUDGETS)


def test_a_file_is_found_by_its_name_and_by_no_other():
    for asset in assets.built().values():
        assert assets.find(asset.name) == asset
        assert asset.url == f"/assets/{asset.name}"
    assert assets.find("manifest.json") is None
    assert assets.find("../assets.py") is None


def test_the_integrity_is_that_of_the_content():
    for asset in assets.built().values():
        algorithm, _, digest = asset.integrity.partition("-")
        assert algorithm == "sha384"
        assert b64decode(digest) == hashlib.sha384(asset.content).digest()


def test_a_file_loads_nothing_from_elsewhere():
    style, script = (assets.built()[source].content for source in BUDGETS)
    assert b"@import" not in style
    assert style.count(b"url(") == style.count(b'url("data:')
    for call in (b"import(", b"fetch(", b"XMLHttpRequest", b"eval(", b"Function(", b"innerHTML"):
        assert call not in script
    assert b"sourceMappingURL" not in style + script


def test_a_qr_code_is_a_picture_without_styles():
    picture = qr.svg("otpauth://totp/Nordbank:bob?secret=JBSWY3DPEHPK3PXP&issuer=Nordbank")
    drawn = ET.fromstring(picture)  # noqa: S314  we drew it ourselves
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    attributes = {name for element in drawn.iter() for name in element.attrib}
    assert not attributes & {"style", "class"}
    assert b"<style" not in picture


def test_a_long_key_still_fits():
    assert qr.svg("otpauth://totp/" + "x" * 600)
