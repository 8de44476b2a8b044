"""What a worker holds while Redis is away: a bounded amount, and what matters goes last."""

from stepup.adapters.redis.held_records import Held, HeldRecords
from stepup.domain.recorded_decision import Outcome

TEN_BYTES = b"0123456789"


def allowed(text: bytes = TEN_BYTES) -> Held:
    return Held(text, Outcome.ALLOW, is_refusal=False)


def refused(text: bytes = TEN_BYTES) -> Held:
    return Held(text, Outcome.STEP_UP, is_refusal=True)


def drained(held: HeldRecords) -> list[Held]:
    found = []
    while held:
        found += held.take(100, 1000)[0]
    return found


def test_step_ups_leave_first_each_kind_in_order():
    held = HeldRecords(1000)
    for n in range(3):
        held.add(allowed(b"a%d" % n))
        held.add(refused(b"r%d" % n))
    assert held.take(2, 1000) == ([refused(b"r0"), refused(b"r1")], False)
    assert held.take(100, 1000) == ([refused(b"r2")], False)
    assert held.take(100, 1000) == ([allowed(b"a%d" % n) for n in range(3)], True)
    assert not held


def test_the_oldest_allowance_makes_room():
    held = HeldRecords(30)
    assert [held.add(each) for each in (refused(b"r" * 10), allowed(b"a" * 10))] == [0, 0]
    assert held.add(allowed(b"b" * 10)) == 0
    assert held.add(refused(b"s" * 10)) == 1
    assert held.add(refused(b"t" * 10)) == 1
    assert drained(held) == [refused(b"r" * 10), refused(b"s" * 10), refused(b"t" * 10)]


def test_without_allowances_the_oldest_refusal_makes_room():
    held = HeldRecords(20)
    assert sum(held.add(refused(b"%010d" % n)) for n in range(5)) == 3
    assert [each.text for each in drained(held)] == [b"%010d" % 3, b"%010d" % 4]


def test_a_record_larger_than_everything_is_not_held():
    held = HeldRecords(20)
    held.add(refused())
    assert held.add(refused(b"x" * 21)) == 2
    assert not held


def test_what_could_not_be_sent_is_the_oldest_again():
    held = HeldRecords(1000)
    for n in range(4):
        held.add(refused(b"%d" % n))
    taken, _ = held.take(2, 1000)
    held.add(refused(b"4"))
    assert held.put_back(taken) == 0
    assert [each.text for each in drained(held)] == [b"0", b"1", b"2", b"3", b"4"]


def test_what_is_put_back_obeys_the_bound():
    held = HeldRecords(20)
    held.add(allowed(b"a" * 10))
    taken, _ = held.take(1, 1000)
    for n in range(2):
        held.add(refused(b"%010d" % n))
    assert held.put_back(taken) == 1
    assert [each.outcome for each in drained(held)] == [Outcome.STEP_UP] * 2


def test_so_many_bytes_are_taken_at_once_and_a_larger_record_alone():
    held = HeldRecords(1000)
    for size in (30, 10, 10, 5):
        held.add(refused(b"x" * size))

    assert [[len(each.text) for each in held.take(100, 20)[0]] for _ in range(3)] == [
        [30],
        [10, 10],
        [5],
    ]
    assert not held
