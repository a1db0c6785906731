"""A ticket, a report and a channel such as a team would find after a metric fell, written through the interfaces."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tests.sandbox.conftest import Caller

MARKER = "herald-demo-3f9a2c"

DESCRIPTION = """\
*nDCG@10 (all queries)* fell by 11.2 %, from 0.412 to 0.366; reruns of the same setup differ by about 0.004.

Most of it was lost in *department = GROCERY*: 71 % of the loss.

*Why it matters:* people find what they buy every week further down the list.

h3. Metrics

|| Metric || Before || Now || Change || 95 % interval || Verdict ||
| nDCG@10 ({{ndcg@10}}) | 0.412 | 0.366 | -11.2 % | -0.052 to -0.040 | {color:#de350b}*Got worse*{color} |
| HR@10 ({{hr@10}}) | 0.671 | 0.618 | -7.9 % | -0.061 to -0.045 | {color:#de350b}*Got worse*{color} |
| Latency ({{ms_per_query}}) | 3.1 | 3.0 | -3.2 % | | {color:#00875a}*As before*{color} |

!history-ndcg.png|width=720!

h3. What is different from the baseline

|| What || Before || Now ||
| distinct texts | 48,211 | 31,077 |
| seed | 1 | 4 |
| query \\| name | \\{code\\} | \\[~ada\\] \\*not bold\\* |

h3. What happens next

* A rerun with another seed has confirmed it.
* Herald comments here when the next runs are in, and again when it has recovered.

h3. Last lines of the log

{noformat}
epoch 3/3  loss 2.118  1,204 rows/s
{code} and *this* stay as they are
{noformat}

h3. Where to look

* Run: [next-purchase-4|http://127.0.0.1:5000/#/experiments/1/runs/4f21], 24 November 2026
* Owner: Ada Okafor

----
{color:#6b778c}Filed by Herald, which finds this ticket again by its label {{herald-demo-3f9a2c}}: please leave the label on it.{color}
"""

REPORT = f"""\
<ac:structured-macro ac:name="warning"><ac:rich-text-body><p><strong>nDCG@10</strong> fell by 11.2 %, from 0.412 to
0.366; reruns of the same setup differ by about 0.004.</p><p>Most of it was lost in department = GROCERY: 71 % of the
loss.</p></ac:rich-text-body></ac:structured-macro>
<p><ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">Red</ac:parameter><ac:parameter
ac:name="title">Got worse</ac:parameter></ac:structured-macro> next-purchase &middot; run
<a href="http://127.0.0.1:5000/#/runs/4f21">next-purchase-4</a> &middot; seed 4 &middot; took 41 s</p>
<h2>Ticket</h2>
<ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">labels = "{MARKER}"</ac:parameter></ac:structured-macro>
<h2>Metrics</h2>
<table><tbody>
<tr><th>Metric</th><th>Baseline</th><th>This run</th><th>Change</th><th>95 % interval</th><th>Verdict</th></tr>
<tr><td>nDCG@10 (<code>ndcg@10</code>)</td><td>0.412</td><td>0.366</td><td>&minus;11.2 %</td><td>&minus;0.052 to
&minus;0.040</td><td><ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">Red</ac:parameter><ac:parameter
ac:name="title">Got worse</ac:parameter></ac:structured-macro></td></tr>
<tr><td>Latency (<code>ms_per_query</code>)</td><td>3.1</td><td>3.0</td><td>&minus;3.2 %</td><td></td><td>
<ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">Green</ac:parameter><ac:parameter
ac:name="title">As before</ac:parameter></ac:structured-macro></td></tr>
</tbody></table>
<h2>History</h2>
<p><ac:image ac:width="900" ac:alt="History of ndcg@10"><ri:attachment ri:filename="history-ndcg.png" /></ac:image></p>
<p><small>One mark a run, oldest first. The line is the baseline, the band what reruns differ by.</small></p>
<ac:structured-macro ac:name="expand"><ac:parameter ac:name="title">Parameters</ac:parameter><ac:rich-text-body>
<table><tbody><tr><th>What</th><th>This run</th></tr><tr><td>learning rate</td><td>0.0003</td></tr></tbody></table>
</ac:rich-text-body></ac:structured-macro>
<h2>More</h2>
<ul><li>Report before this one: <ac:link><ri:page ri:content-title="next-purchase: run 3" /><ac:link-body>next-purchase:
run 3</ac:link-body></ac:link></li><li>Literal: &lt;script&gt;alert(1)&lt;/script&gt;</li></ul>
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What there is to look at, and where."""

    ticket: str
    page: str
    message: str
    ticket_url: str
    page_url: str
    channel_url: str


def picture(width: int = 640, height: int = 220) -> bytes:
    """Draw a falling line, as a PNG without any library."""
    rows = []
    for y in range(height):
        row = bytearray(b"\x00")
        for x in range(width):
            line = 60 if x < width * 0.7 else 60 + int((x - width * 0.7) * 0.6)
            row += b"\xc2\x3b\x22" if abs(y - line) < 3 else b"\xe8\xee\xf8" if abs(y - 60) < 18 else b"\xff\xff\xff"
        rows.append(bytes(row))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


def write(sandbox, chart: bytes | None = None) -> Written:
    """Write the whole of it; return where to look."""
    chart = chart or picture()
    page_id, page_url = write_report(sandbox, chart)
    key = write_ticket(sandbox, chart, page_url)
    ts = write_messages(sandbox, key, page_url)
    return Written(
        ticket=key,
        page=page_id,
        message=ts,
        ticket_url=f"{sandbox.jira_cloud_url}/browse/{key}",
        page_url=page_url,
        channel_url=f"{sandbox.url}/slack/archives/{sandbox.channel_id}",
    )


def write_ticket(sandbox, chart: bytes, page_url: str) -> str:
    ada, wei = sandbox.seed.people[0], sandbox.seed.people[1]
    jira = Caller(f"{sandbox.jira_cloud_url}/rest/api/2", (sandbox.email, sandbox.api_token))
    as_ada = Caller(jira.base, (ada.email, ada.api_token))
    fields = {
        "project": {"key": "SR"},
        "issuetype": {"name": "Bug"},
        "summary": "next-purchase: nDCG@10 fell by 11.2 % (0.412 to 0.366)",
        "description": DESCRIPTION,
        "priority": {"name": "High"},
        "labels": [MARKER, "regression"],
        "components": [{"name": "ranking"}],
        "assignee": {"accountId": ada.account_id},
        "duedate": "2026-11-30",
    }
    key = jira.post("/issue", {"fields": fields}).json()["key"]
    files = {"file": ("history-ndcg.png", chart, "image/png")}
    jira("POST", f"/issue/{key}/attachments", files=files, headers={"X-Atlassian-Token": "no-check"})
    files = {"file": ("metrics.csv", b"metric,before,now\nndcg@10,0.412,0.366\n", "text/csv")}
    jira("POST", f"/issue/{key}/attachments", files=files, headers={"X-Atlassian-Token": "no-check"})
    link = {"url": page_url, "title": "Report of next-purchase: run 4", "summary": "Metrics, history, slices, data"}
    jira.post(f"/issue/{key}/remotelink", {"globalId": "report", "relationship": "report", "object": link})
    jira.post(
        f"/issue/{key}/comment",
        {"body": "*Still there.* nDCG@10 is at 0.364, run [next-purchase-6|http://x.invalid/6]."},
    )
    body = f"Thanks. The feed lost its product types on Monday, [~{wei.name}] is on it. See {key}.\n\nherald: known"
    as_ada.post(f"/issue/{key}/comment", {"body": body})
    as_ada.post(f"/issue/{key}/transitions", {"transition": {"id": "21"}})
    others = (
        ("query-suggest: coverage fell by 3.1 %", "Task", "Medium", "31", wei.account_id),
        ("two-tower: job timed out after 20 m", "Bug", "Highest", "21", ada.account_id),
        ("reranker: no run for 3 days", "Task", "Low", None, None),
    )
    for summary, kind, priority, transition, assignee in others:
        other = {**fields, "summary": summary, "issuetype": {"name": kind}, "priority": {"name": priority}}
        other |= {"labels": ["regression"], "assignee": {"accountId": assignee} if assignee else None}
        made = jira.post("/issue", {"fields": other}).json()["key"]
        if transition:
            jira.post(f"/issue/{made}/transitions", {"transition": {"id": transition}})
    relation = {"type": {"name": "Relates"}, "inwardIssue": {"key": key}, "outwardIssue": {"key": made}}
    jira.post("/issueLink", relation)
    return key


def write_report(sandbox, chart: bytes) -> tuple[str, str]:
    wiki = Caller(f"{sandbox.confluence_cloud_url}/wiki", (sandbox.email, sandbox.api_token))
    space = sandbox.seed.spaces[0].id

    def page(title: str, body: str, parent: str | None = None) -> str:
        given = {"spaceId": space, "status": "current", "title": title, "parentId": parent}
        given = {key: value for key, value in given.items() if value}
        answer = wiki.post("/api/v2/pages", given | {"body": {"representation": "storage", "value": body}})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    parent = page("next-purchase", "<p>All runs of the pipeline.</p>")
    for number in (1, 2, 3):
        page(f"next-purchase: run {number}", f"<p>Run {number} was as before.</p>", parent)
    made = page("next-purchase: run 4", REPORT, parent)
    files = {"file": ("history-ndcg.png", chart, "image/png")}
    path = f"/rest/api/content/{made}/child/attachment"
    wiki("PUT", path, files=files, data={"minorEdit": "true"}, headers={"X-Atlassian-Token": "no-check"})
    wiki.post(f"/rest/api/content/{made}/label", [{"prefix": "global", "name": MARKER}])
    links = wiki.get(f"/api/v2/pages/{made}").json()["_links"]
    return made, links["base"] + links["webui"]


def write_messages(sandbox, key: str, page_url: str) -> str:
    slack = Caller(sandbox.slack_url, headers={"Authorization": f"Bearer {sandbox.slack_token}"})

    def section(text: str) -> dict:
        return {"type": "section", "text": {"type": "mrkdwn", "text": text}}

    def post(method: str, headline: str, colour: str, *rest: dict, **more: str) -> dict:
        attachment = {"color": colour, "fallback": headline, "blocks": list(rest)}
        body = {"channel": sandbox.channel_id, "text": headline, "blocks": [section(headline)], **more}
        answer = slack.post(method, body | {"attachments": [attachment]}).json()
        assert answer["ok"], answer
        return answer

    ticket = f"<{sandbox.jira_cloud_url}/browse/{key}|{key}>"
    small = {"type": "context", "elements": [{"type": "mrkdwn", "text": "Owner: Ada Okafor · since 24 November 2026"}]}
    red = post(
        "chat.postMessage",
        "*next-purchase*: nDCG@10 fell by 11.2 %, from 0.412 to 0.366",
        "#d63a3a",
        section("• nDCG@10: 0.412 → 0.366 (-11.2 %)\n• HR@10: 0.671 → 0.618 (-7.9 %)"),
        section(f"Ticket: {ticket} · <{page_url}|Report> · Run: <http://127.0.0.1:5000/#/runs/4f21|next-purchase-4>"),
        small,
    )
    slack.post(
        "chat.postMessage",
        {
            "channel": sandbox.channel_id,
            "thread_ts": red["ts"],
            "text": "The rerun with seed 5 shows it too. `ndcg@10` = 0.364",
        },
    )
    post(
        "chat.update",
        "*next-purchase*: nDCG@10 recovered, it is at 0.413 again",
        "#2f9e5b",
        section("• nDCG@10: 0.366 → 0.413"),
        section(f"Ticket: {ticket} · <{page_url}|Report>"),
        small,
        ts=red["ts"],
    )
    second = post(
        "chat.postMessage",
        "*two-tower*: HR@10 fell by 4.0 %",
        "#d63a3a",
        section("• HR@10: 0.512 → 0.491 (-4.0 %)"),
        small,
    )
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Week 47"}},
        section("*3* pipelines, *1* open incident. Literal: &lt;!channel&gt; &amp; &lt;@U1&gt;"),
        {"type": "section", "fields": [{"type": "mrkdwn", "text": t} for t in ("*Runs*\n21", "*Got worse*\n2")]},
        {"type": "divider"},
        {
            "type": "actions",
            "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": "Open the report"}, "url": page_url}
            ],
        },
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "From Monday to Sunday"}]},
    ]
    slack.post("chat.postMessage", {"channel": sandbox.channel_id, "text": "Week 47", "blocks": blocks})
    return second["ts"]
