"""People are joined by what they offered and never otherwise; consent withdrawn parts them."""

import stat

import pytest
import sqlalchemy as sa

from segue.core.errors import BadInput
from segue.core.types import User
from segue.store import links, schema
from segue.store.catalogue import put_users
from segue.store.person_keys import (
    SECRET_FILE,
    digest,
    forget,
    keep,
    link_by_hand,
    normal,
    secret_of,
)
from segue.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path)
    put_users(made.engine, [User(i) for i in ("web", "tv", "phone", "other")])
    yield made
    made.engine.dispose()


def person(workspace, user):
    with workspace.engine.connect() as connection:
        found = links.Links.load(connection, "user")
        num = links.num_of(workspace.engine, "user", user)
        group = found.group(num)
    names = links.ids_of(workspace.engine, "user", group)
    return {names[n] for n in group}


def test_the_same_address_in_any_spelling_joins_and_another_does_not(workspace):
    first = keep(workspace, "web", "email", " Ann@Example.org", at=1.0)
    assert (first.joined, first.new) == ((), True)
    second = keep(workspace, "tv", "email", "ann@example.ORG", at=2.0)
    assert (second.user_id, second.joined) == ("web", ("web",))
    assert keep(workspace, "other", "email", "ann@example.com", at=3.0).joined == ()
    assert keep(workspace, "tv", "email", "ann@example.org", at=4.0).new is False
    assert person(workspace, "tv") == {"web", "tv"}
    # A login that is spelled like the address is another key.
    assert keep(workspace, "phone", "login", "ann@example.org", at=5.0).joined == ()


def test_numbers_are_compared_with_their_country(workspace):
    keep(workspace, "phone", "phone", "+44 (20) 7946-0000", at=1.0)
    assert keep(workspace, "web", "phone", "0044 20 7946 0000", at=2.0).joined == ("phone",)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("email", "ann"), ("email", "a b@c.de"), ("email", "ann@localhost"), ("phone", "7946 0001"),
     ("phone", "+12"), ("login", "  "), ("login", "x" * 321)],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_repeating_it(workspace, kind, text):
    with pytest.raises(BadInput) as caught:
        keep(workspace, "web", kind, text, at=1.0)
    assert text not in str(caught.value)
    with workspace.engine.connect() as connection:
        assert connection.execute(sa.select(schema.person_keys)).all() == []


def test_no_address_is_stored_and_the_secret_is_the_owners_alone(workspace):
    keep(workspace, "web", "email", "ann@example.org", at=1.0)
    workspace.engine.dispose()
    for path in workspace.root.glob("segue.db*"):
        assert b"example.org" not in path.read_bytes()
    assert stat.S_IMODE((workspace.root / SECRET_FILE).stat().st_mode) == 0o600
    secret = secret_of(workspace)
    assert secret == secret_of(workspace)
    hashed = digest(secret, "email", "ann@example.org")
    assert len(hashed) == 64
    assert hashed != digest(b"another" * 8, "email", "ann@example.org")
    assert normal("phone", "+44 20 7946 0000") == "+442079460000"


def test_withdrawn_consent_parts_what_only_that_key_joined(workspace):
    keep(workspace, "web", "email", "ann@example.org", at=1.0)
    keep(workspace, "tv", "email", "ann@example.org", at=2.0)
    keep(workspace, "tv", "phone", "+442079460000", at=3.0)
    keep(workspace, "phone", "phone", "+442079460000", at=4.0)
    assert person(workspace, "web") == {"web", "tv", "phone"}
    assert forget(workspace, "tv", "email") == 1
    assert person(workspace, "web") == {"web"}
    assert person(workspace, "phone") == {"tv", "phone"}
    assert forget(workspace, "tv") == 1
    assert person(workspace, "phone") == {"phone"}
    assert forget(workspace, "nobody") == 0


def test_a_link_by_hand_outlives_a_withdrawn_key(workspace):
    assert link_by_hand(workspace.engine, "web", "other", "login")
    assert not link_by_hand(workspace.engine, "other", "web", "login")
    keep(workspace, "web", "email", "ann@example.org", at=1.0)
    keep(workspace, "tv", "email", "ann@example.org", at=2.0)
    assert person(workspace, "other") == {"web", "tv", "other"}
    forget(workspace, "web")
    assert person(workspace, "other") == {"web", "other"}
    assert person(workspace, "tv") == {"tv"}
