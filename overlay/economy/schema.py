"""The tables of the holdings view: what was said (facts), and what follows from it (derived columns).

Keys and blocks stand as the small numbers of `trustchain.blocks`. Derived columns are functions of the facts alone,
computed anew whenever one of those facts arrives, whatever the order:

    proposal.agreed       place on its author's chain of the first agreement half that fits; NULL while unanswered
    leg.made              agreed, and its inputs are known holdings of its giver whose sum it moves: it has outputs
    leg.own               place of the issuer's word where that first word accepts; NULL otherwise
    leg.word              1 all issuers concerned have accepted, 2 one of them has refused, 0 neither
    leg.beaten            it has `own`, and another leg that stands on one of its inputs was accepted before it
    input.stage           3 the leg is made, accepted by the voucher's issuer and refused by nobody; 2 it is made;
                          else 1 where the giver itself proposed the leg, 0 where another names it
    input.rank            of a leg that has `own`, what orders it among its rivals: `own`, the proposal's hash (which
                          decides where an issuer's fork makes places equal) and the position; NULL otherwise. The
                          first of those that stand, in an index, is all that a rival must be compared with
    mint.redeemed         sum of what legs moved to the issuer that all have accepted and that are not beaten, in
                          decimal digits: where an issuer lies, it can exceed SQLite's 63 bits
    holding.live          no made leg that all issuers have accepted consumes it
"""

FACTS = """
CREATE TABLE IF NOT EXISTS voucher_mint (
    block INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, agent INTEGER NOT NULL, issuer BLOB NOT NULL,
    promise TEXT NOT NULL, unit TEXT NOT NULL, quantity INTEGER NOT NULL, terms TEXT NOT NULL,
    expires INTEGER NOT NULL, infohash BLOB, sha256 BLOB, size INTEGER, redeemed TEXT NOT NULL DEFAULT '0');
CREATE INDEX IF NOT EXISTS voucher_mint_by ON voucher_mint (agent);
CREATE TABLE IF NOT EXISTS voucher_proposal (
    block INTEGER PRIMARY KEY, proposer INTEGER NOT NULL, counterparty INTEGER NOT NULL, sequence INTEGER NOT NULL,
    valid_until INTEGER NOT NULL, weight INTEGER NOT NULL, offer INTEGER, is_offer INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, agreed INTEGER, agreement INTEGER);
CREATE INDEX IF NOT EXISTS voucher_proposal_offer ON voucher_proposal (offer) WHERE offer IS NOT NULL;
CREATE INDEX IF NOT EXISTS voucher_proposal_by ON voucher_proposal (proposer);
CREATE INDEX IF NOT EXISTS voucher_proposal_to ON voucher_proposal (counterparty);
CREATE INDEX IF NOT EXISTS voucher_proposal_unanswered ON voucher_proposal (valid_until) WHERE agreed IS NULL;
CREATE TABLE IF NOT EXISTS voucher_agreement (
    proposal INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (proposal, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS voucher_cancellation (
    proposal INTEGER NOT NULL, author INTEGER NOT NULL, sequence INTEGER NOT NULL, block INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (proposal, author, sequence, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS voucher_witness (
    proposal INTEGER NOT NULL, author INTEGER NOT NULL, legs INTEGER NOT NULL, first INTEGER NOT NULL,
    agreement INTEGER NOT NULL, sequence INTEGER NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY (proposal, author, legs, first, agreement, sequence, block)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS voucher_witness_by ON voucher_witness (author);
CREATE TABLE IF NOT EXISTS voucher_leg (
    proposal INTEGER NOT NULL, position INTEGER NOT NULL, giver INTEGER NOT NULL, receiver INTEGER NOT NULL,
    voucher INTEGER NOT NULL, quantity INTEGER NOT NULL, change INTEGER NOT NULL, parts INTEGER NOT NULL,
    made INTEGER NOT NULL DEFAULT 0, own INTEGER, word INTEGER NOT NULL DEFAULT 0,
    beaten INTEGER NOT NULL DEFAULT 0 CHECK (NOT beaten OR own IS NOT NULL),
    PRIMARY KEY (proposal, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS voucher_leg_waiting ON voucher_leg (proposal) WHERE made = 1 AND word = 0;
CREATE TABLE IF NOT EXISTS voucher_issuer (
    proposal INTEGER NOT NULL, position INTEGER NOT NULL, issuer INTEGER NOT NULL, parts INTEGER NOT NULL,
    PRIMARY KEY (proposal, position, issuer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS voucher_input (
    proposal INTEGER NOT NULL, position INTEGER NOT NULL, source INTEGER NOT NULL, idx INTEGER NOT NULL,
    giver INTEGER NOT NULL, stage INTEGER NOT NULL, rank BLOB,
    PRIMARY KEY (proposal, position, source, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS voucher_input_of ON voucher_input (source, idx, stage, rank, giver);
CREATE TABLE IF NOT EXISTS voucher_holding (
    source INTEGER NOT NULL, idx INTEGER NOT NULL, voucher INTEGER NOT NULL, holder INTEGER NOT NULL,
    quantity INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (source, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS voucher_holding_live ON voucher_holding (holder, voucher, quantity) WHERE live = 1;
CREATE TABLE IF NOT EXISTS voucher_held (
    holder INTEGER NOT NULL, voucher INTEGER NOT NULL, PRIMARY KEY (holder, voucher)) WITHOUT ROWID;
"""

# The same facts with whole keys and hashes, for reading.
READABLE = """
CREATE VIEW IF NOT EXISTS voucher_exchange AS
    SELECT h.hash AS proposal, a.key AS proposer, p.sequence, b.key AS counterparty, p.valid_until, p.weight,
    (SELECT hash FROM half WHERE half.id = p.offer) AS offer, p.is_offer, p.timestamp
    FROM voucher_proposal p JOIN half h ON h.id = p.block JOIN agent a ON a.id = p.proposer
    JOIN agent b ON b.id = p.counterparty;
CREATE VIEW IF NOT EXISTS voucher_cancel AS
    SELECT h.hash AS proposal, a.key AS author, c.reason, (SELECT hash FROM half WHERE half.id = c.block) AS block
    FROM voucher_cancellation c JOIN half h ON h.id = c.proposal JOIN agent a ON a.id = c.author;
"""
