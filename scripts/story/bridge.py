"""Chapter 5: the bridge group holds common funds, and pays what its members approved."""

from typing import Any

from scripts.story.processes import until
from scripts.story.rest import Member
from scripts.story.town import PEOPLE, Town, start_node, wait_for_node

AMOUNT = 1_500_000
FUNDS_BTC = "0.05"
FUNDS = 5_000_000


def found_group(town: Town) -> None:
    town.chapter("5. The bridge group and its treasury")
    group = town["farmer"].post(
        "group/found",
        name="Bridge group",
        purpose="holds what the town collected for the bridge",
        members=list(PEOPLE),
        approvals=3,
        threshold=3,
    )["id"]
    town.ids["group"] = group
    for name in PEOPLE[1:]:
        until(f"the {name} sees the charter", lambda name=name: _group(town[name], group))  # type: ignore[misc]
        town[name].post("group/sign", group=group)
    for name in PEOPLE:
        until(f"the {name} holds a share", lambda name=name: _group(town[name], group)["stage"] == "ready", 30)  # type: ignore[misc]
    addresses = {_group(town[name], group)["address"] for name in PEOPLE}
    town.check("five signed a charter and made one key, 3 of 5", holds=len(addresses) == 1, shown="ChillDKG")
    town.ids["address"] = addresses.pop()
    town.say(f"All five signed the charter; together they made a key that no one of them has: {town.ids['address']}")


def fund(town: Town) -> None:
    bitcoin = town.bitcoin
    bitcoin.call("sendtoaddress", town.ids["address"], float(FUNDS_BTC))
    bitcoin.call("generatetoaddress", 1, bitcoin.call("getnewaddress"))
    until("the treasury has its funds", lambda: _group(town["engineer"], town.ids["group"])["balance"] == FUNDS)
    town.say(f"The regtest service pays {FUNDS:,} sats into the treasury.")


def propose(town: Town) -> None:
    proposal = town["engineer"].post(
        "proposal/pay",
        group=town.ids["group"],
        title="Weld the main girder",
        reason="the girder is up, the seams held the load test",
        payee="welder",
        address=town.bitcoin.call("getnewaddress"),
        amount=AMOUNT,
    )["id"]
    town.ids["proposal"] = proposal
    for name in PEOPLE:
        until(f"the {name} sees the proposal", lambda name=name: _proposal(town, town[name]))  # type: ignore[misc]
    town.say(f"The engineer proposes to pay the welder {AMOUNT:,} sats.")


def two_votes_sign_nothing(town: Town) -> None:
    for name in ("engineer", "farmer"):
        town[name].post("proposal/vote", proposal=town.ids["proposal"], choice="yes", reason="")
    for name in PEOPLE:
        until(f"the {name} sees two votes", lambda name=name: _proposal(town, town[name])["yes"] == 2)  # type: ignore[misc]
    found = [_proposal(town, town[name]) for name in PEOPLE]
    nothing = all(each["state"] == "open" and not each["raw_tx"] and not each["txid"] for each in found)
    in_mempool = town.bitcoin.call("getrawmempool")
    town.check("after two yes votes no signature exists", holds=nothing and not in_mempool)
    town.say("Two say yes. Nobody's node gives a share of a signature: two of five decide nothing.")


def third_vote_pays(town: Town) -> None:
    town.processes.stop("farmer")
    town.say("The farmer's machine goes dark. The baker says yes too: that makes three.")
    town["baker"].post("proposal/vote", proposal=town.ids["proposal"], choice="yes", reason="")
    engineer = town["engineer"]
    until("the members sign and broadcast", lambda: town.bitcoin.call("getrawmempool"), 40)
    votes = _proposal(town, engineer)["yes"]
    town.bitcoin.call("generatetoaddress", 1, town.bitcoin.call("getnewaddress"))
    until("the payment is on the ledger", lambda: _proposal(town, engineer)["state"] == "paid", 30)
    for name in ("baker", "mechanic", "welder"):
        until(f"the {name} sees it paid", lambda name=name: _proposal(town, town[name])["state"] == "paid", 30)  # type: ignore[misc]
    until("whoever coordinated has told who signed", lambda: _proposal(town, engineer)["signers"])
    paid = _proposal(town, engineer)
    town.report["payout"] = _payout(town, paid, votes)
    signers = [_name(town, key) for key in paid["signers"]]
    town.check("the farmer's place was taken by another", holds="farmer" not in signers and len(signers) == 3)
    town.say(f"The nodes of the {', the '.join(signers)} sign; each saw three yes votes in its own ledger.")
    town.say(f"Mined in block {paid['height']}, accepted by Bitcoin Core's consensus code: {paid['txid'][:16]}…")


def farmer_returns(town: Town) -> None:
    start_node(town, "farmer")
    wait_for_node(town, "farmer")
    until("the farmer catches up", lambda: _proposal(town, town["farmer"]).get("state") == "paid", 30)
    until("the farmer may sign again", lambda: not town["farmer"].get("status/show")["signing"], 30)
    town.check("a member that was away learned of the payment", holds=True)
    town.say("The farmer's machine comes back and learns what was decided and paid.")


def _payout(town: Town, paid: dict[str, Any], votes: int) -> dict[str, Any]:
    """The facts of the payment, checked against what the Bitcoin service tells."""
    bitcoin = town.bitcoin
    block = bitcoin.call("getblock", bitcoin.call("getblockhash", paid["height"]), 2)
    mined = next((each for each in block["tx"] if each["txid"] == paid["txid"]), None)
    town.check(
        "the payment was mined and accepted by consensus", holds=mined is not None, shown=f"block {paid['height']}"
    )
    outputs = {(each["scriptPubKey"]["hex"], each["value"]) for each in (mined or {}).get("vout", [])}
    town.check(
        "the welder got exactly what was approved",
        holds=any(v == "0.01500000" for _, v in outputs),
        shown=f"{AMOUNT:,} sats",
    )
    prevouts = [_prevout(town, each["txid"], each["vout"]) for each in (mined or {})["vin"]]
    return {
        "txid": paid["txid"],
        "raw_tx": (mined or {})["hex"],
        "prevouts": prevouts,
        "height": paid["height"],
        "threshold": 3,
        "members": [town[name].public_key for name in PEOPLE],
        "signers": paid["signers"],
        "votes_when_signed": votes,
    }


def _prevout(town: Town, txid: str, index: int) -> dict[str, Any]:
    """Script and amount (in satoshis) of an output that was spent, from the block that made it."""
    bitcoin = town.bitcoin
    for height in range(bitcoin.call("getblockcount"), 0, -1):
        block = bitcoin.call("getblock", bitcoin.call("getblockhash", height), 2)
        for each in block["tx"]:
            if each["txid"] == txid:
                output = each["vout"][index]
                whole, _, rest = output["value"].partition(".")
                return {"script_pubkey": output["scriptPubKey"]["hex"], "amount": int(whole + rest.ljust(8, "0"))}
    return {}


def _group(member: Member, group: str) -> dict[str, Any]:
    found = member.get("group/list")["groups"]
    return next((each for each in found if each["id"] == group), {})


def _proposal(town: Town, member: Member) -> dict[str, Any]:
    found = member.get("proposal/list")["proposals"]
    return next((each for each in found if each["id"] == town.ids["proposal"]), {})


def _name(town: Town, key: str) -> str:
    return next(member.name for member in town.everyone if member.public_key == key)
