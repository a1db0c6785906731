"""Everything Herald raises on purpose.

HeraldError
+-- ConfigError            the configuration cannot be used
+-- StateError             Herald's own database cannot be used
+-- RunStoreError          MLflow cannot be read
+-- JobError               a job cannot be started or found again
+-- TemplateError          a template does not render, or renders what a service would refuse
+-- IntegrationError       a tracker, wiki or chat did not do what was asked
    +-- RetryableError     ... and may do it later
    +-- PermanentError     ... and never will, as asked
"""

from __future__ import annotations

from collections.abc import Mapping


class HeraldError(Exception):
    """Base of all errors whose message is meant for a person."""


class ConfigError(HeraldError):
    pass


class StateError(HeraldError):
    pass


class RunStoreError(HeraldError):
    pass


class JobError(HeraldError):
    pass


class TemplateError(HeraldError):
    pass


class IntegrationError(HeraldError):
    """A service did not do what was asked; the message holds its own words."""


class RetryableError(IntegrationError):
    """The service may do it later.

    *doubtful*: the request may have been carried out all the same (a timeout, a dropped connection, a 5xx after
    sending), so it must be looked for before it is sent again. *retry_after*: seconds the service asked to wait.
    """

    def __init__(
        self, message: str, *, doubtful: bool, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.doubtful = doubtful
        self.retry_after = retry_after


class PermanentError(IntegrationError):
    """The service refused and will refuse again; *fields* holds its complaint field by field."""

    def __init__(self, message: str, *, status: int | None = None, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.fields = dict(fields or {})
