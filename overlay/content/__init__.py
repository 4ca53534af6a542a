"""Content: pictures, music, evidence. Whatever outgrows a block travels by BitTorrent, one session per node.

A block names three things: the infohash (BitTorrent v2, 64 hex digits), the SHA-256 of the whole file and its size
in bytes. Hand the about 280 bytes of `metadata` along as well where a message has room for them: the receiver then
starts at once and need not ask its peers what the infohash stands for.

    session = await ContentSession.open(folder, clock=SystemClock(), token=token_of(identity.public_key),
                                        host="127.0.0.1", port=0, on_event=print)
    await session.seed_all()                                      # what earlier runs left in the folder

    extension = check_picture(data)                               # raises BadPicture: one sentence for people
    content = await session.publish(clean_picture(data), extension)   # Content(infohash, sha256, size, metadata)

    path = await other.fetch(content.infohash, content.sha256, content.size, [session.endpoint],
                             metadata=content.metadata, timeout=60)
    other.received()                                              # {session.token: content.size}
    await session.close()

`token_of(member)` (40 hex digits) is the BitTorrent peer id of a member's node. It maps the bytes that `received()`
counts to the member, whichever port a connection came from; what a member announces, signed, is only its endpoint.

Whoever knows an infohash and an endpoint can fetch the content: encrypt what is not for everyone before publishing.
"""

from overlay.content.bandwidth import new_token as new_token
from overlay.content.bandwidth import token_of as token_of
from overlay.content.cleaning import clean_picture as clean_picture
from overlay.content.errors import BadMetadata as BadMetadata
from overlay.content.errors import BadReference as BadReference
from overlay.content.errors import ContentError as ContentError
from overlay.content.errors import FetchTimeout as FetchTimeout
from overlay.content.errors import FolderError as FolderError
from overlay.content.errors import ListenError as ListenError
from overlay.content.errors import WrongContent as WrongContent
from overlay.content.events import ContentEvent as ContentEvent
from overlay.content.events import ContentFailed as ContentFailed
from overlay.content.events import ContentReceived as ContentReceived
from overlay.content.events import ContentStatus as ContentStatus
from overlay.content.events import PeerUseful as PeerUseful
from overlay.content.picture import BadPicture as BadPicture
from overlay.content.picture import check_picture as check_picture
from overlay.content.session import ContentSession as ContentSession
from overlay.content.torrent import Content as Content
