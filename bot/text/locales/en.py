"""English."""

from bot.text.locales import Conventions

CONVENTIONS = Conventions(
    percent="{number}\N{NO-BREAK SPACE}%",
    between="{low} to {high}",
    slice_of="{metric} for {column} {value}",
    aside="{text} ({aside})",
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    weekdays=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    moment="{day} {month} {year}, {time}",
    day="{day} {month}",
    date="{day} {month} {year}",
    coming="{weekday} {day} {month}, {time}",
    duration="{count}\N{NO-BREAK SPACE}{unit}",
    units=("d", "h", "min", "s"),
    run_page="{pipeline}: {run} ({run_id})",
    pipeline_page="{pipeline} (Herald {instance})",
    archive_page="{pipeline} {year} (Herald {instance})",
    seldom_right="{fixed} of {judged} answered tickets were about something to fix",
    digest_page="Digest {until} (Herald {instance})",
    ledger_page="What Herald is quiet about ({instance})",
)
