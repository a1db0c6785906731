"""What was given up because a service refused our account, by status or in Slack's words, is owed again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SAID = (
    *(f"% ({status}): %" for status in (301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 407, 410)),
    *(
        f"Slack did not %: {word}%"
        for word in (
            "access_denied",
            "account_inactive",
            "channel_not_found",
            "ekm_access_denied",
            "invalid_auth",
            "is_archived",
            "missing_scope",
            "no_permission",
            "not_authed",
            "not_in_channel",
            "org_login_required",
            "restricted_action",
            "team_access_not_granted",
            "token_expired",
            "token_revoked",
        )
    ),
    "Slack shows the app no channel named %",
    "lists: the board has no list for %",
    "parent: there is no page titled %",
    "space: the account of the token sees no space %",
)


def upgrade() -> None:
    outbox = sa.table(
        "outbox",
        *(sa.column(name) for name in ("state", "parked_for", "parked_at", "fields", "error")),
    )
    op.execute(
        outbox.update()
        .where(outbox.c.state == "parked", outbox.c.parked_for == "refused")
        .where(sa.or_(*(outbox.c.error.like(said) for said in _SAID)))
        .values(state="pending", parked_for=None, parked_at=None, fields=None)
    )


def downgrade() -> None:
    """Leave what is owed as it is: it is parked again where it is refused again."""
