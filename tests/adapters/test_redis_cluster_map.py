"""Several nodes of a Cluster say different things; the newest configuration is believed."""

import pytest

from stepup.adapters.redis.cluster_map import ClusterMap, Member, read_nodes

ASKED = ("10.0.0.9", 6379)
# What a node of 7.2 says after a failover of the first shard: the old primary is gone.
NODES = """\
aaa 10.0.0.1:6379@16379,one.example,,tls-port=0,shard-id=s1 master,fail - 1 2 1 disconnected
bbb 10.0.0.2:6379@16379 myself,master - 0 0 2 connected 5461-10921 [6000->-ccc]
ccc 10.0.0.3:6379@16379 master - 0 1 3 connected 10922-16000 16002-16383 16001
ddd 10.0.0.4:6379@16379 master - 0 1 7 connected 0-5460
eee 10.0.0.5:6379@16379 slave bbb 0 1 2 connected
fff 10.0.0.6:6379@16379 slave,fail ccc 0 1 3 disconnected
ggg :0@0 master,noaddr - 0 0 0 disconnected
hhh 10.0.0.8:6379@16379 handshake - 0 0 0 disconnected
"""
# What the old primary of the first shard, frozen meanwhile, still says.
STALE = """\
aaa 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460
bbb 10.0.0.2:6379@16379 master - 0 0 2 connected 5461-10921
ccc 10.0.0.3:6379@16379 master - 0 1 3 connected 10922-16383
ddd 10.0.0.4:6379@16379 slave aaa 0 1 1 connected
eee 10.0.0.5:6379@16379 slave bbb 0 1 2 connected
fff 10.0.0.6:6379@16379 slave ccc 0 1 3 connected
"""
IN_FIRST, IN_SECOND, IN_THIRD = "su:{3}", "su:{5}", "su:{0}"


def read(text: str, *, by_name: bool = False) -> tuple[Member, ...]:
    return read_nodes(text, ASKED, by_name=by_name)


def merged(*texts: str) -> ClusterMap:
    return ClusterMap.merged([read(text) for text in texts])


def owners(found: ClusterMap) -> list[str | None]:
    addresses = (found.owner(key) for key in (IN_FIRST, IN_SECOND, IN_THIRD))
    return [None if address is None else address[0] for address in addresses]


def test_reads_who_serves_what():
    assert owners(merged(NODES)) == ["10.0.0.4", "10.0.0.2", "10.0.0.3"]


def test_a_node_that_is_not_met_yet_is_left_out():
    assert {member.id for member in read(NODES)} == {"aaa", "bbb", "ccc", "ddd", "eee", "fff"}


def test_names_are_used_where_certificates_need_them():
    assert read(NODES, by_name=True)[0].address == ("one.example", 6379)
    assert read(NODES, by_name=True)[1].address == ("10.0.0.2", 6379)


def test_a_node_that_does_not_know_its_address_is_where_it_was_asked():
    (alone,) = read("aaa :6379@16379 myself,master - 0 0 1 connected 0-16383\n")
    assert alone.address == ASKED


@pytest.mark.parametrize("views", [(NODES, STALE), (STALE, NODES), (STALE, STALE, NODES)])
def test_a_deposed_primary_is_not_believed(views):
    found = merged(*views)
    assert owners(found) == ["10.0.0.4", "10.0.0.2", "10.0.0.3"]
    assert ("10.0.0.1", 6379) not in found.primaries()


def test_of_a_slot_that_moved_the_newer_owner_is_believed():
    moved = STALE.replace("myself,master - 0 0 2", "master - 0 0 8").replace(
        "bbb 10.0.0.2:6379@16379 master - 0 0 2 connected 5461-10921",
        "bbb 10.0.0.2:6379@16379 master - 0 0 8 connected 5000-10921",
    )
    one, other = read(STALE), read(moved)
    assert ClusterMap.merged([one, other]) == ClusterMap.merged([other, one])
    assert ClusterMap.merged([one, other]).epoch == 8


def test_replicas_that_are_away_count_too():
    found = merged(NODES)
    assert found.replicas_of(("10.0.0.3", 6379)) == 1
    assert found.replicas_of(("10.0.0.4", 6379)) == 0
    assert found.replicas_of(("10.9.9.9", 6379)) is None


def test_the_larger_number_of_replicas_is_believed():
    assert merged(NODES, STALE).replicas_of(("10.0.0.3", 6379)) == 1
    fewer = NODES.replace("slave,fail ccc", "slave,fail bbb")
    assert merged(NODES, fewer).replicas_of(("10.0.0.2", 6379)) == 2


def test_replicas_are_known_as_such():
    assert merged(NODES, STALE).others() == {("10.0.0.5", 6379), ("10.0.0.6", 6379)}


def test_a_slot_that_nobody_serves_has_no_owner():
    found = merged("bbb 10.0.0.2:6379@16379 myself,master - 0 0 2 connected 5461-10921\n")
    assert owners(found) == [None, "10.0.0.2", None]


def test_nothing_heard_is_nothing_known():
    assert merged().primaries() == frozenset()
