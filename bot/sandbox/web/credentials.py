"""How Atlassian's services know a caller, on Cloud and on Data Center."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from bot.sandbox.seed import Account, SandboxSeed


def authenticate_cloud(request: Request, seed: SandboxSeed) -> Account | None:
    """Cloud knows a caller by e-mail and API token."""
    given = request.authorization
    if given is None or given.type != "basic":
        return None
    return _match(seed, given.username or "", given.password or "", by_email=True)


def authenticate_datacenter(request: Request, seed: SandboxSeed) -> Account | None:
    """Data Center knows a caller by personal access token, or by name and that token as password."""
    given = request.authorization
    if given is None:
        return None
    if given.type == "bearer" and given.token:
        return next((one for one in seed.accounts if same(one.bearer, given.token)), None)
    if given.type == "basic":
        return _match(seed, given.username or "", given.password or "", by_email=False)
    return None


def _match(seed: SandboxSeed, user: str, secret: str, *, by_email: bool) -> Account | None:
    for one in seed.accounts:
        if by_email and one.email == user and same(one.api_token, secret):
            return one
        if not by_email and one.name == user and same(one.bearer, secret):
            return one
    return None


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass"))
