"""Chapters 1 to 4: a commons, promises that change hands, pictures, reputation."""

import base64
import io
import sqlite3
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from scripts.story.processes import until
from scripts.story.rest import Member
from scripts.story.town import ABOUT, CARRIER, PEOPLE, Town


def found_commons(town: Town) -> None:
    town.chapter("1. A commons")
    farmer = town["farmer"]
    purpose = "rebuild the bridge that the flood took, with what we have and can"
    farmer.post("commons/found", commons="The bridge", purpose=purpose, name="farmer", about=ABOUT["farmer"])
    for name in (*PEOPLE[1:], CARRIER):
        text = farmer.post("commons/invite")["text"]
        town[name].post("commons/join", invitation=text, name=name, about=ABOUT[name])
    everyone = {member.name for member in town.everyone}
    for member in town.everyone:
        until(f"the {member.name} knows everyone", lambda member=member: _names(member) == everyone)  # type: ignore[misc]
    town.say("The farmer founded a commons; the others joined with the text of an invitation, each used once.")
    town.check("everyone knows everyone, by invitation alone", holds=True, shown=f"{len(everyone)} members")


def mint(town: Town) -> None:
    town.chapter("2. Promises change hands")
    for who, promise, unit, colour in (("farmer", "produce", "kg", "seagreen"), ("baker", "bread", "loaf", "peru")):
        picture = base64.b64encode(_picture(promise, colour)).decode()
        made = town[who].post(
            "voucher/mint", promise=promise, unit=unit, quantity=100, terms=f"one {unit} each", picture=picture
        )
        town.ids[promise] = made["id"]
    for promise in ("produce", "bread"):
        for member in town.everyone:
            until(f"the {member.name} knows of {promise}", lambda m=member, p=promise: town.voucher(p, m))  # type: ignore[misc]
    carrier = town[CARRIER]
    until(
        "the carrier has both pictures", lambda: all(town.voucher(p, carrier)["picture"]["path"] for p in town.ids), 30
    )
    town.say("The farmer promises 100 kg of produce, the baker 100 loaves of bread, each with a picture.")


def swap(town: Town) -> None:
    farmer, baker = town["farmer"], town["baker"]
    offer = farmer.post(
        "exchange/offer",
        to="baker",
        give=town.ids["produce"],
        give_quantity=100,
        want=town.ids["bread"],
        want_quantity=100,
    )["id"]
    until("the baker sees the offer", lambda: town.exchange(baker, offer).get("to_answer"))
    exchange = baker.post("exchange/accept", id=offer)["id"]
    _until_final(town, exchange, farmer, baker)
    town.check(
        "a swap moved both legs, in one agreement",
        holds=town.holds("farmer", "bread") == 100 and town.holds("baker", "produce") == 100,
        shown="100 kg for 100 loaves",
    )
    town.say("They swap: one agreement, both legs or neither. It is final by the word of both issuers.")


def pass_on(town: Town) -> None:
    farmer, mechanic = town["farmer"], town["mechanic"]
    given = farmer.post(
        "exchange/give",
        to="mechanic",
        voucher=town.ids["bread"],
        quantity=100,
        deed="repaired the tractor's gearbox",
        worth=100,
    )["id"]
    until("the mechanic sees the bread", lambda: town.exchange(mechanic, given).get("to_answer"))
    mechanic.post("exchange/accept", id=given)
    _until_final(town, given, farmer, mechanic)
    town.check("bread passed on is final by its issuer's witness", holds=town.holds("mechanic", "bread") == 100)
    town.say("The farmer passes the bread on to the mechanic for repair work; the baker's node witnesses it.")


def steal_a_copy(town: Town) -> None:
    """Somebody copies the mechanic's data folder while it holds 100 loaves; chapter 6 tells what comes of it."""
    source, target = town["mechanic"].folder, town.processes.folder / "cheat"
    target.mkdir()
    for name in ("identity.key", "place", "rest.token"):
        (target / name).write_bytes((source / name).read_bytes())
        (target / name).chmod(0o600)
    with sqlite3.connect(source / "ledger.db") as original, sqlite3.connect(target / "ledger.db") as copy:
        original.backup(copy)
    original.close()
    copy.close()


def redeem(town: Town) -> None:
    mechanic, baker = town["mechanic"], town["baker"]
    redeemed = mechanic.post("exchange/give", to="baker", voucher=town.ids["bread"], quantity=40, worth=40)["id"]
    until("the baker sees the redemption", lambda: town.exchange(baker, redeemed).get("to_answer"))
    baker.post("exchange/accept", id=redeemed)
    _until_final(town, redeemed, mechanic, baker)
    until("the baker counts the redemption", lambda: town.voucher("bread", baker)["outstanding"] == 60)
    bread = town.voucher("bread", baker)
    town.report["redemption"] = {key: bread[key] for key in ("minted", "redeemed", "outstanding")}
    town.check(
        "40 of 100 loaves redeemed, 60 outstanding",
        holds=(bread["minted"], bread["redeemed"], bread["outstanding"], town.holds("mechanic", "bread"))
        == (100, 40, 60, 60),
        shown="100 - 40 = 60",
    )
    town.say("The mechanic redeems 40 of the 100 loaves at the baker's door; 60 remain.")


def pictures(town: Town) -> None:
    town.chapter("3. Pictures travel by BitTorrent")
    wanted = {"produce": ("farmer", "baker", CARRIER), "bread": ("baker", "farmer", "mechanic", CARRIER)}
    media = []
    for promise, holders in wanted.items():
        for who in holders:
            until(f"the {who} has the picture of {promise}", lambda w=who, p=promise: _has_picture(town, w, p), 40)  # type: ignore[misc]
        picture = town.voucher(promise, town[CARRIER])["picture"]
        media.append(
            {
                "infohash": picture["infohash"],
                "sha256": picture["sha256"],
                "bytes": picture["size"],
                "peers": [who for who in holders if _has_picture(town, who, promise)],
            }
        )
    town.report["media"] = media
    tallies = until("the carrier's upload is countersigned", lambda: _carrier_tallies(town), 30)
    carried = sum(tally["received"] for tally in tallies)
    town.report["tallies"] = tallies
    town.check("pictures reached every holder, hash-checked", holds=True, shown=f"{len(media)} pictures")
    town.check("the carrier's upload is a countersigned tally", holds=carried > 0, shown=f"{carried:,} bytes")
    town.say(f"Every holder has its pictures, checked by hash. The carrier delivered {carried:,} bytes, countersigned.")


def reputations(town: Town) -> dict[str, dict[str, float]]:
    """Everyone's reputation in each one's eyes, as their own nodes reckon it."""
    return {
        viewer.name: {person["name"]: round(person["score"], 4) for person in viewer.get("people/list")["people"]}
        for viewer in town.everyone
    }


def before_redemption(town: Town) -> None:
    town.chapter("4. Reputation, before and after a promise is kept")
    until("everyone knows the same", lambda: _is_quiet(town))
    until("the repair shows in the farmer's eyes", lambda: reputations(town)["farmer"]["mechanic"] > 0)
    town.report["reputation"] = {"before": reputations(town)}


def after_redemption(town: Town) -> None:
    until("everyone knows the same", lambda: _is_quiet(town))
    before = town.report["reputation"]["before"]
    until(
        "the redemption shows in the mechanic's eyes",
        lambda: reputations(town)["mechanic"]["baker"] > before["mechanic"]["baker"],
    )
    after = town.report["reputation"]["after"] = reputations(town)
    for viewer, target in (("mechanic", "baker"), ("farmer", "mechanic"), ("farmer", "baker")):
        then, now = before[viewer][target], after[viewer][target]
        town.say(
            f"In the {viewer}'s eyes the {target} stood at {then:.3f} before the redemption, and now at {now:.3f}."
        )
    told = town["farmer"].get("trust/why", member="baker")
    reason = told["reasons"][0]
    path = ", who trusts the ".join([reason["steps"][0]["receiver"], *(step["provider"] for step in reason["steps"])])
    town.say(f"Why the farmer trusts the baker: the {path}, for what each did for the other.")
    least = min(told["without"], key=lambda without: float(without["score"]))
    town.say(f"Without what the {least['provider']} did for the {least['receiver']} it would be {least['score']:.3f}.")
    town.check(
        "a kept promise raised the baker's reputation", holds=after["farmer"]["baker"] > before["farmer"]["baker"]
    )


def _is_quiet(town: Town) -> bool:
    """Whether all nodes hold the same number of statements: nothing is on its way."""
    return len({member.get("status/show")["blocks"] for member in town.everyone}) == 1


def _names(member: Member) -> set[str]:
    return {person["name"] for person in member.get("people/list")["people"]}


def _until_final(town: Town, exchange: str, *members: Member) -> None:
    for member in members:
        until(
            f"it is final for the {member.name}", lambda m=member: town.exchange(m, exchange).get("standing") == "final"
        )  # type: ignore[misc]
    found = town.exchange(members[0], exchange)
    exchanges: list[dict[str, Any]] = town.report.setdefault("exchanges", [])
    exchanges.append({"proposal_hash": exchange, "agreement_hash": found["agreement"], "final": True})


def _has_picture(town: Town, who: str, promise: str) -> bool:
    path = town.voucher(promise, town[who])["picture"]["path"]
    return bool(path) and Path(path).exists()


def _carrier_tallies(town: Town) -> list[dict[str, Any]]:
    found = town["farmer"].get("content/tallies")["tallies"]
    carrier = town[CARRIER].public_key
    return [tally for tally in found if tally["uploader"] == carrier and tally["countersigned"]]


def _picture(word: str, colour: str) -> bytes:
    """A picture of some 200 kB: coarse noise in a colour, and a word."""
    noise = Image.effect_noise((480, 360), 60).convert("RGB")
    picture = Image.blend(noise, Image.new("RGB", noise.size, colour), 0.6)
    ImageDraw.Draw(picture).text((180, 150), word, fill="white", font_size=48)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
