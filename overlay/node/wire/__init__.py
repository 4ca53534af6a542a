"""What a node's REST interface takes and gives: frozen structs, JSON on the wire.

The command line, the routes, the OpenAPI document and the terminal interface are all made from these. Keys, hashes
and ids are lower-case hex; amounts are integers in a unit's smallest step (satoshis for coins); times are milliseconds
since the Unix epoch; `bytes` fields are base64 in JSON and a file's path on the command line. A member in a request is
its name, when no other member has it, or the first 8 or more hex digits of its key's signing half, or the whole key.
"""

from overlay.node.wire.base import Ask as Ask
from overlay.node.wire.base import Done as Done
from overlay.node.wire.base import Id as Id
from overlay.node.wire.base import Line as Line
from overlay.node.wire.base import Minutes as Minutes
from overlay.node.wire.base import Name as Name
from overlay.node.wire.base import Nothing as Nothing
from overlay.node.wire.base import Problem as Problem
from overlay.node.wire.base import Quantity as Quantity
from overlay.node.wire.base import Tell as Tell
from overlay.node.wire.commons import CommonsModel as CommonsModel
from overlay.node.wire.commons import FoundCommons as FoundCommons
from overlay.node.wire.commons import InvitationModel as InvitationModel
from overlay.node.wire.commons import JoinCommons as JoinCommons
from overlay.node.wire.commons import Status as Status
from overlay.node.wire.content import Media as Media
from overlay.node.wire.content import Tallies as Tallies
from overlay.node.wire.content import Tally as Tally
from overlay.node.wire.events import Event as Event
from overlay.node.wire.exchanges import AcceptExchange as AcceptExchange
from overlay.node.wire.exchanges import DeclineExchange as DeclineExchange
from overlay.node.wire.exchanges import ExchangeModel as ExchangeModel
from overlay.node.wire.exchanges import Exchanges as Exchanges
from overlay.node.wire.exchanges import Give as Give
from overlay.node.wire.exchanges import LegModel as LegModel
from overlay.node.wire.exchanges import OfferSwap as OfferSwap
from overlay.node.wire.groups import CastVote as CastVote
from overlay.node.wire.groups import FoundGroup as FoundGroup
from overlay.node.wire.groups import Group as Group
from overlay.node.wire.groups import GroupId as GroupId
from overlay.node.wire.groups import GroupMember as GroupMember
from overlay.node.wire.groups import Groups as Groups
from overlay.node.wire.groups import Proposal as Proposal
from overlay.node.wire.groups import Proposals as Proposals
from overlay.node.wire.groups import ProposePayment as ProposePayment
from overlay.node.wire.groups import Vote as Vote
from overlay.node.wire.people import CheatProof as CheatProof
from overlay.node.wire.people import CheatProofs as CheatProofs
from overlay.node.wire.people import People as People
from overlay.node.wire.people import Person as Person
from overlay.node.wire.trust import AskReport as AskReport
from overlay.node.wire.trust import AskTop as AskTop
from overlay.node.wire.trust import AskTrust as AskTrust
from overlay.node.wire.trust import AttackGain as AttackGain
from overlay.node.wire.trust import Reason as Reason
from overlay.node.wire.trust import ReasonStep as ReasonStep
from overlay.node.wire.trust import Trust as Trust
from overlay.node.wire.trust import TrustList as TrustList
from overlay.node.wire.trust import TrustPicture as TrustPicture
from overlay.node.wire.trust import TrustReport as TrustReport
from overlay.node.wire.trust import Why as Why
from overlay.node.wire.trust import WithoutExchange as WithoutExchange
from overlay.node.wire.vouchers import HoldingModel as HoldingModel
from overlay.node.wire.vouchers import Holdings as Holdings
from overlay.node.wire.vouchers import MintVoucher as MintVoucher
from overlay.node.wire.vouchers import Picture as Picture
from overlay.node.wire.vouchers import Voucher as Voucher
from overlay.node.wire.vouchers import Vouchers as Vouchers
