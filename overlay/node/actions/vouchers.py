"""Promises: mint them, see what became of them, see what one holds. And the pictures that go with them."""

from overlay.content import check_picture, clean_picture
from overlay.content.tallies import tallies as all_tallies
from overlay.economy.standing import Standing, current_holdings, supply
from overlay.economy.succession import owes
from overlay.keys import PublicKey
from overlay.node.actions.lookup import name_of
from overlay.node.actions.registry import action, query
from overlay.node.node import Node
from overlay.node.wire import (
    HoldingModel,
    Holdings,
    Media,
    MintVoucher,
    Nothing,
    Picture,
    Tallies,
    Tally,
    Voucher,
    Vouchers,
)
from overlay.trustchain.statements import Media as MediaStatement
from overlay.trustchain.statements import Mint

DAY = 86_400_000
Row = tuple[bytes, bytes, str, str, str, int, bytes | None, bytes | None, int | None]
COLUMNS = "SELECT id, issuer, promise, unit, terms, expires, infohash, sha256, size FROM voucher_mint"


@action("voucher", "mint")
async def mint(node: Node, ask: MintVoucher) -> Voucher:
    """Promise goods or services: you alone will honour it."""
    _ = node.home
    media = await _publish(node, ask.picture) if ask.picture is not None else None
    expires = node.clock.now() + ask.expires_in * DAY if ask.expires_in else 0
    block = await node.ledger.append(Mint(ask.promise, ask.unit, ask.quantity, ask.terms, expires, media))
    return _voucher(node, node.db.execute(f"{COLUMNS} WHERE id = ?", (block.hash,)).fetchone())


@query("voucher", "list")
def vouchers(node: Node, ask: Nothing) -> Vouchers:
    """List the promises that this node knows, and what became of them."""
    rows = node.db.execute(f"{COLUMNS} ORDER BY promise, id").fetchall()
    return Vouchers(tuple(_voucher(node, row) for row in rows))


@query("voucher", "holdings")
def holdings(node: Node, ask: Nothing) -> Holdings:
    """List what you hold: spendable now, not final yet, and bound in open proposals."""
    sums: dict[bytes, list[int]] = {}
    for each in current_holdings(node.db, node.identity.public_key, node.clock.now()):
        column = 2 if each.pending else 0 if each.standing is Standing.FINAL else 1
        sums.setdefault(each.holding.voucher, [0, 0, 0])[column] += each.holding.quantity
    return Holdings(tuple(_holding(node, voucher, *each) for voucher, each in sorted(sums.items())))


@query("content", "list")
def content(node: Node, ask: Nothing) -> Media:
    """List the pictures of all promises, and whether this node has them."""
    rows = node.db.execute(f"{COLUMNS} WHERE infohash IS NOT NULL ORDER BY id").fetchall()
    found = (_picture(node, infohash, sha256, size) for *_, infohash, sha256, size in rows)
    return Media(tuple(found))


@query("content", "tallies")
def tallies(node: Node, ask: Nothing) -> Tallies:
    """List who signed for how much useful data from whom."""
    return Tallies(
        tuple(
            Tally(
                uploader=each.uploader.hex(),
                uploader_name=name_of(node, each.uploader),
                downloader=each.downloader.hex(),
                downloader_name=name_of(node, each.downloader),
                received=each.received,
                countersigned=each.agreed,
            )
            for each in all_tallies(node.db)
        )
    )


async def _publish(node: Node, picture: bytes) -> MediaStatement:
    extension = check_picture(picture)
    published = await node.content.publish(clean_picture(picture), extension)
    return MediaStatement(bytes.fromhex(published.infohash), bytes.fromhex(published.sha256), published.size)


def _voucher(node: Node, row: Row) -> Voucher:
    id_, issuer, promise, unit, terms, expires, infohash, sha256, size = row
    found = supply(node.db, id_, node.clock.now())
    owed_by = owes(node.db, id_)
    return Voucher(
        id=id_.hex(),
        issuer=issuer.hex(),
        issuer_name=name_of(node, PublicKey(issuer)),
        promise=promise,
        unit=unit,
        terms=terms,
        expires=expires,
        minted=found.minted,
        redeemed=found.redeemed,
        expired=found.expired,
        outstanding=found.outstanding,
        picture=_picture(node, infohash, sha256, size) if infohash and sha256 and size else None,
        owed_by=owed_by.hex(),
        owed_by_name=name_of(node, owed_by),
    )


def _picture(node: Node, infohash: bytes, sha256: bytes, size: int) -> Picture:
    status = node.content.status(infohash.hex())
    return Picture(infohash.hex(), sha256.hex(), size, str(status.path or ""), status.peers)


def _holding(node: Node, voucher: bytes, final: int, provisional: int, pending: int) -> HoldingModel:
    promise, unit, issuer = node.db.execute(
        "SELECT promise, unit, issuer FROM voucher_mint WHERE id = ?", (voucher,)
    ).fetchone()
    name = name_of(node, PublicKey(issuer))
    return HoldingModel(voucher.hex(), promise, unit, issuer.hex(), name, final, provisional, pending)
