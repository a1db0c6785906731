"""What to do about what MLflow's client has said, or a database below MLflow, or a proxy before it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USER, _PASSWORD, _TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
_WHO = f"it asks who we are: set {_USER} and {_PASSWORD}, or {_TOKEN}"
_NOT_TAKEN = "it does not take {given}: check {where}, and that no proxy before it takes them out of what is asked"
_NOT_MLFLOW = "what answers there is not MLflow: is the address right, or a login page before it?"
_BELOW = (
    " An older MLflow that was started with --static-prefix has its pages below {path} and answers programs without "
    "it: name {bare} in mlflow.tracking_uri, and the address with {path} in mlflow.ui_url"
)
_STATUS = re.compile(r"\berror code (\d{3})\b|\b(\d{3}) (?:Client|Server) Error\b")  # of questions, and of files
_TITLE = re.compile(r"<title>\s*([^<]{1,80}?)\s*</title>", re.IGNORECASE)
_UNAUTHENTICATED, _FAILED = 401, 500
_STATUS_ADVICE = {
    413: "it answers 413: a proxy is there that lets nothing so large through; raise its limit (nginx: "
    "client_max_body_size)",
    429: "it answers 429, too many requests: the next look asks again; raise that limit, or look less often",
    502: "it answers 502: a proxy is there that does not reach MLflow; is MLflow running behind it?",
    503: "it answers 503: what is there does not reach MLflow, or is too busy; is MLflow running behind it?",
    504: "it answers 504: a proxy is there that waits for MLflow in vain; is MLflow running behind it, or too busy?",
}
_SIGNS = {  # the first that holds
    "UNAUTHENTICATED": _WHO,
    "CERTIFICATE_VERIFY_FAILED": "its certificate is of an authority that is not known here: name the authority's PEM "
    "file in MLFLOW_TRACKING_SERVER_CERT_PATH",
    "HTTP request was sent to HTTPS port": "it speaks TLS: should the address begin with https://?",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: should the address begin with http://?",
    "ProxyError": "the proxy that HTTP_PROXY or HTTPS_PROXY names does not lead there: check it, or name the machine "
    "in NO_PROXY",
    "NameResolutionError": "no machine of that name is known here: is the address right?",
    "Max retries exceeded": "nothing answers there: is it running, and is the address right?",
    "unsupported startup parameter": "a PgBouncer stands before it: let it have ignore_startup_parameters = options",
    "valid JSON format": _NOT_MLFLOW,
    "a page for people": _NOT_MLFLOW,
    "IncompleteRead": "its answer breaks off in the middle: what was asked for is asked for again at the next look",
}
_TORN = re.compile(
    r"no such (?:table|column): [\w.]+|relation \S+ does not exist|column \S+ does not exist"
    r"|Table '\S+' doesn't exist|Unknown column '\S+'"
)
_STRANGER = re.compile(r"error code 404\b.*?Response body: '\s*<", re.DOTALL)  # a page, where MLflow says what it lacks
_FORBIDDEN = re.compile(r"PERMISSION_DENIED|error code 403\b.*?Response body: 'Permission denied", re.DOTALL)


def advice_on(said: str, address: str) -> str:
    """Say what to do about what was said where *address* was asked; nothing where that is not known."""
    if (torn := _TORN.search(said)) is not None:
        return f"its database is damaged ({torn[0]}), though its version is right: ask its owner to restore it"
    if _STRANGER.search(said) is not None:
        return _NOT_MLFLOW + _about_prefix(address)
    status = int(found[1] or found[2]) if (found := _STATUS.search(said)) is not None else 0
    advice = _STATUS_ADVICE.get(status) or next((words for sign, words in _SIGNS.items() if sign in said), "")
    if status == _UNAUTHENTICATED or advice == _WHO:
        return _about_account(address)
    return advice or _about_page(status, said)


def is_forbidden(said: str) -> bool:
    """Say whether MLflow itself refuses something to the account that Herald has there."""
    return _FORBIDDEN.search(said) is not None


def _about_page(status: int, said: str) -> str:
    """Say what the title of a page says by which a proxy has failed; one that refuses may mean what was asked for."""
    title = _TITLE.search(said)
    if status < _FAILED or title is None:
        return ""
    named = title[1].removeprefix(str(status)).strip(" -:")
    return f"it answers {status}{f' ({named})' if named else ''}, which is not MLflow's answer: what stands before it?"


def _about_prefix(address: str) -> str:
    parts = urlsplit(address)
    path = parts.path.strip("/")
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return _BELOW.format(path=f"/{path}", bare=bare) if path else ""


def _about_account(address: str) -> str:
    """Say what to do where a server asks who one is: set an account, or correct the one that is set."""
    from mlflow.utils.credentials import get_default_host_creds

    account = get_default_host_creds(address)  # type: ignore[no-untyped-call]
    if "@" in urlsplit(address).netloc:
        return _NOT_TAKEN.format(given="the user and password of the address", where="HERALD_MLFLOW__TRACKING_URI")
    if account.username and account.password:
        return _NOT_TAKEN.format(given="the user and password that are set", where=f"{_USER} and {_PASSWORD}")
    if account.token:
        return _NOT_TAKEN.format(given="the token that is set", where=_TOKEN).replace("takes them", "takes it")
    return _WHO
