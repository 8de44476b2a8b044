"""Who lives in the demo."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in at the demo identity provider."""

    sub: str
    name: str
    email: str
    balance_cents: int
    about: str

    @property
    def initial(self) -> str:
        """The letter on their picture."""
        return self.name[0]


PEOPLE = {
    person.sub: person
    for person in (
        Person("alice", "Alice Moreau", "alice@example.org", 1_842_090, "Runs a bicycle shop"),
        Person("bob", "Bob Lindqvist", "bob@example.org", 763_515, "Teaches chemistry"),
        Person("carol", "Carol Osei", "carol@example.org", 2_450_000, "Restores old pianos"),
    )
}


def full_name(sub: str) -> str:
    """Return how somebody is called, people from outside included."""
    person = PEOPLE.get(sub)
    return person.name if person else sub
