"""Which addresses we go to on a stranger's word: those that everybody else could reach as well."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# What carries an IPv4 address inside (RFC 6052, RFC 4291, RFC 3056): a gateway would take us there.
_TRANSLATED = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "2002::/16")))


def is_public(text: str) -> bool:
    """Say whether everybody can reach an address: nothing private, local or reserved.

    Raises:
        ValueError: If it is none.
    """
    # An address with a zone is of this link, whatever follows.
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
