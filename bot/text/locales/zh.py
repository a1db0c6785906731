"""Chinese."""

from bot.text.locales import Conventions

CONVENTIONS = Conventions(
    percent="{number}%",
    between="{low} 至 {high}",
    slice_of="{metric}（{column} 为 {value} 的分组）",
    aside="{text}（{aside}）",
    months=("1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"),
    weekdays=("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    moment="{year}年{month}{day}日 {time}",
    day="{month}{day}日",
    date="{year}年{month}{day}日",
    coming="{month}{day}日（{weekday}）{time}",
    duration="{count} {unit}",
    units=("天", "小时", "分钟", "秒"),
    run_page="{pipeline}：{run}（{run_id}）",
    pipeline_page="{pipeline}（Herald {instance}）",
    archive_page="{pipeline} {year} 年（Herald {instance}）",
    seldom_right="已答复的 {judged} 张工单中，仅 {fixed} 张确有问题需要修复",
    digest_page="简报 {until}（Herald {instance}）",
    ledger_page="Herald 保持安静的内容（{instance}）",
)
