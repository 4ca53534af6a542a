"""How a coordinator reaches the signers: other members over the network, itself by a call."""

from overlay.dao.funds.roast import Unfit
from overlay.dao.funds.signer import COMMIT, SIGN, Signer
from overlay.dao.keyring.messages import AskCommitments, AskShares, Commitments, SignatureShares
from overlay.keys import PublicKey
from overlay.network.messages import BadMessage, M, Wire, decode, encode
from overlay.network.network import CallFailed, Network, Refusal

# A signer looks at its chain, writes its promise to disk, and answers.
SIGNER_SECONDS = 5.0


class Asking:
    """The `roast.Asking` of a node."""

    def __init__(self, network: Network, signer: Signer, me: PublicKey) -> None:
        self._network, self._me = network, me
        self._own = {COMMIT: signer.commit, SIGN: signer.sign}

    async def commit(self, member: PublicKey, ask: AskCommitments) -> Commitments:
        """First round. Raises Unfit."""
        return await self._ask(member, COMMIT, ask, Commitments)

    async def sign(self, member: PublicKey, ask: AskShares) -> SignatureShares:
        """Second round. Raises Unfit."""
        return await self._ask(member, SIGN, ask, SignatureShares)

    async def _ask(self, member: PublicKey, service: str, ask: Wire, kind: type[M]) -> M:
        try:
            if member == self._me:
                return decode(await self._own[service](member, encode(ask)), kind)
            return decode(await self._network.call(member, service, encode(ask), SIGNER_SECONDS), kind)
        except (CallFailed, Refusal, BadMessage) as error:
            raise Unfit(str(error)) from error
