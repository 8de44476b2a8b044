"""Every fault by its number in RELIABILITY section 12, with what it must show and how often it runs."""

from collections.abc import Mapping

import msgspec

from tests.fault import delays, faults, generation, killed_instances, nemesis
from tests.fault.instances import Protection
from tests.fault.netns import partitions
from tests.fault.trial import Fault


class Row(msgspec.Struct, frozen=True):
    """A fault, and how many trials of it a short and a long run have.

    `nothing_lost` where acknowledged challenges survive it. The control arm must show a violation
    of one of the rules it `sees`, or the zero of the protected arm says nothing.
    """

    fault: Fault
    short: int
    long: int
    nothing_lost: bool = False
    control: Protection | None = None
    sees: frozenset[str] = frozenset({"S1"})
    namespaces: bool = False  # it needs network namespaces, and so root


FAULTS: Mapping[str, Row] = {
    "F1": Row(faults.f1_many_at_once, 10, 500, control=Protection.LOOK_AND_WRITE),
    "F2-consume": Row(faults.f2_consumed_while_killed, 2, 50),
    "F2": Row(faults.f2_primary_killed, 2, 100, nothing_lost=True),
    "F2-links": Row(
        faults.f2_links_lost_first, 1, 50, nothing_lost=True, control=Protection.NO_WAIT
    ),
    "F2-restart": Row(
        faults.f2_restarted_and_alone, 1, 50, nothing_lost=True, control=Protection.OLD_DATA
    ),
    "F4": Row(faults.f4_primary_frozen, 1, 60, control=Protection.NO_FENCE),
    "F5": Row(faults.f5_primary_resumed_at_the_promotion, 1, 30, control=Protection.NO_FENCE),
    "F6": Row(faults.f6_bare_failover, 1, 30, control=Protection.NO_VETO),
    "F6-switchover": Row(faults.f6_switchover, 1, 30, nothing_lost=True),
    "F8": Row(faults.f8_sentinels_frozen, 1, 10),
    "F9": Row(generation.f9_restarted_empty, 1, 20, control=Protection.NO_FLOOR),
    "F10": Row(faults.f10_replicas_frozen, 1, 10),
    "F11": Row(
        killed_instances.f11_instance_killed,
        2,
        50,
        nothing_lost=True,
        control=Protection.DRAWN_TOKEN,
        sees=frozenset({"S6", "S7"}),
    ),
    "F12": Row(faults.f12_cancelled, 1, 50),
    "F13": Row(
        delays.f13_replies_delayed,
        2,
        100,
        nothing_lost=True,
        control=Protection.LOOK_AND_WRITE,
        sees=frozenset({"S1", "S4"}),
    ),
    "F22": Row(generation.f22_one_code_twice, 1, 100, control=Protection.NO_FLOOR),
    "F3": Row(
        partitions.f3_host_lost,
        1,
        30,
        nothing_lost=True,
        control=Protection.NO_WAIT,
        namespaces=True,
    ),
    "F7-primary": Row(
        partitions.f7_primary_cut_off, 1, 20, control=Protection.NOTHING, namespaces=True
    ),
    "F7-one-way": Row(partitions.f7_one_way, 1, 20, control=Protection.NOTHING, namespaces=True),
    "F7-replica": Row(
        partitions.f7_primary_and_a_replica_cut_off,
        1,
        20,
        control=Protection.NO_FENCE,
        namespaces=True,
    ),
    "F24": Row(nemesis.f24_one_after_another, 1, 20),
}
