"""JSON web tokens (RFC 7519) of an identity provider (OpenID Connect): whose they are.

What that user may do is found in `authentication`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from server.domain.errors import CredentialsInvalid
from server.domain.names import ID, LOCAL_OWNER
from server.operations.key_set import KeySet

_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""None in which whoever can check a signature could also make one."""

_CLOCK_SECONDS = 5
"""How far the provider's clock may be from this one's."""

_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "has expired",
    jwt.ImmatureSignatureError: "is not valid yet",
    jwt.InvalidIssuerError: "is of another issuer",
    jwt.InvalidAudienceError: "is for another audience",
    jwt.InvalidSignatureError: "has a wrong signature",
    jwt.InvalidAlgorithmError: "is signed in a way that is not accepted",
}


@dataclass(frozen=True)
class IdentityProvider:
    """Who signs tokens for this service, which are those that name it as their audience.

    `claim` is the one that becomes the user's id.
    """

    issuer: str
    audience: str
    claim: str
    keys: KeySet

    def user(self, token: str) -> str:
        """Whom the token was made for: the `ada` of `users/ada`. Raises CredentialsInvalid."""
        try:
            return _user(self._claims(token), self.claim)
        except jwt.MissingRequiredClaimError as error:
            raise CredentialsInvalid(f"lacks the claim `{error.claim}`") from error
        except (jwt.PyJWTError, RecursionError) as error:
            raise CredentialsInvalid(_REASONS.get(type(error), "is damaged")) from error

    def _claims(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in _ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        key = self.keys.find(header.get("kid", ""))
        if key is None:
            raise CredentialsInvalid("is signed by a key that is not known here")
        return jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            issuer=self.issuer,
            audience=self.audience,
            leeway=_CLOCK_SECONDS,
            options={"require": ["exp", "iss", "aud", self.claim]},
        )


def _user(claims: Mapping[str, Any], claim: str) -> str:
    if claim == "email" and claims.get("email_verified") not in (True, "true"):
        raise CredentialsInvalid("is of somebody whose `email` is not verified")
    id = claims[claim]
    if not isinstance(id, str) or not re.fullmatch(ID, id):
        what = f"has {str(id)[:130]!r} as `{claim}`, which can't be the id of a user"
        raise CredentialsInvalid(f"{what}: letters, digits and `_.~@+-`, 128 at most")
    if id == LOCAL_OWNER:
        what = f"has {id!r} as `{claim}`, which is the owner that `kintsugi up` makes"
        raise CredentialsInvalid(f"{what}, and nobody of an identity provider")
    return id
