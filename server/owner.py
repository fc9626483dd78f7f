"""An owner and its token straight in the database, for whoever has that and nobody to call as.

All others are made over the API.
"""

import socket
from contextlib import closing

from kintsugi.v1.member_pb2 import ROLE_OWNER

from server import database
from server.domain.errors import CredentialsInvalid
from server.domain.names import WorkspaceName
from server.operations import access
from server.operations.authentication import Authenticator
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store


def owner_token(url: str, user: str, workspace: str, kept: str = "") -> str:
    """A token of an owner of the workspace: `kept`, if it still is one, or a new one.

    The user becomes an owner, if they aren't a member yet. Raises CannotRun, KintsugiError.
    """
    database.check(url)
    with closing(Database(url, connections=1)) as opened, closing(Notifier(url)) as notifier:
        store, name = Store(opened, notifier), WorkspaceName.parse(workspace)
        if kept and _is_owners(store, name, kept):
            return kept
        return access.owner_token(store, name, user, f"made on {socket.gethostname()}")


def _is_owners(store: Store, workspace: WorkspaceName, token: str) -> bool:
    try:
        caller = Authenticator(store).caller(token)
    except CredentialsInvalid:
        return False
    membership = caller.memberships.get(str(workspace))
    return caller.is_everywhere and membership is not None and membership.role == ROLE_OWNER
