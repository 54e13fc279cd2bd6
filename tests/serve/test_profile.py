"""A profile over the API: partial changes, refusals, and fields that ranking may not use."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from segue import assembly
from segue.config import ProfileUse
from segue.core.errors import BadInput, BadSettings
from segue.core.types import PROFILE_FIELDS, Profile
from segue.store import profiles


def test_only_what_is_sent_changes(address: str) -> None:
    with httpx.Client(base_url=f"{address}/v1/users") as client:
        first = client.get("/1/profile").json()
        assert (first["gender"], first["age"], first["shares"]) == ("M", 24, False)
        sent = {"country": "TR", "interests": ["jazz", "old films"], "shares": True}
        got = client.put("/1/profile", json=sent).json()
        assert {name: got[name] for name in sent} == sent
        assert (got["gender"], got["age"]) == ("M", 24)
        assert client.put("/1/profile", json={"age": None}).json()["age"] is None
        assert client.get("/1/profile").json()["shares"] is True


def test_a_new_person_may_say_who_they_are(address: str) -> None:
    with httpx.Client(base_url=f"{address}/v1/users") as client:
        assert client.get("/new/profile").status_code == 404
        assert client.put("/new/profile", json={"device": "tv"}).json()["device"] == "tv"
        assert client.get("/new/profile").json()["device"] == "tv"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"shoe_size": 44}, "shoe_size"),
        ({"age": 151}, "age"),
        ({"age": "24"}, "age"),
        ({"shares": "yes"}, "shares"),
        ({"gender": "x" * 21}, "gender"),
        ({"interests": ["ok", ""]}, "interests"),
        ({"interests": ["a"] * 51}, "interests"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(
    address: str, sent: dict[str, object], field: str
) -> None:
    with httpx.Client(base_url=f"{address}/v1/users") as client:
        before = client.get("/1/profile").json()
        refused = client.put("/1/profile", json={"country": "TR", **sent})
        assert refused.status_code == 422
        assert refused.json()["error"]["field"].startswith(field)
        assert client.get("/1/profile").json() == before


def test_the_store_refuses_unknown_fields(service) -> None:
    with pytest.raises(BadInput, match="'num' is no field of a profile"):
        profiles.change(service.engine, "1", {"num": 7})


def test_a_field_that_is_switched_off_reaches_no_question(service) -> None:
    everything = service.query("1").profile
    assert (everything.gender, everything.age, everything.occupation) == ("M", 24, "technician")
    off = replace(service, profile_use=("gender", "interests"))
    assert off.query("1").profile == Profile(gender="M")


@pytest.mark.parametrize("off", PROFILE_FIELDS)
def test_whatever_a_switched_off_field_holds_is_the_same_profile(off: str) -> None:
    full = Profile("F", 30, "TR", "tr", "artist", "tv", ("jazz",))
    other = replace(full, **{off: ("noise",) if off == "interests" else None})
    used = [name for name in PROFILE_FIELDS if name != off]
    assert full != other
    assert full.only(used) == other.only(used)
    assert full.only(PROFILE_FIELDS) is full


def test_a_field_that_is_switched_off_reaches_no_training(service) -> None:
    told = assembly.load_training(service.workspace).profiles
    assert {p.gender for p in told} == {"M", "F"}
    settings = service.workspace.root / "segue.toml"
    settings.write_text('[profile]\nuse = ["age"]\n')
    less = assembly.load_training(service.workspace).profiles
    assert [p.age for p in less] == [p.age for p in told]
    assert {(p.gender, p.occupation) for p in less} == {(None, None)}


def test_a_field_that_does_not_exist_cannot_be_switched() -> None:
    with pytest.raises(BadSettings, match="'sex' is no field of a profile; known: gender, age"):
        ProfileUse(use=("sex",))
