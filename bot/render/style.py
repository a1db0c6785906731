"""The style of pages of HTML that stand by themselves: light and dark, and without anything from outside."""

STYLE = """
:root { color-scheme: light dark; --ink: #172b4d; --soft: #5e6c84; --line: #dfe1e6; --page: #fff; --card: #f7f8fa;
  --blue: #0072b2; --bad: #d55e00; --watch: #e69f00; --good: #009e73; --odd: #cc79a7 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe3ea; --soft: #9aa5b8; --line: #39424f; --page: #1b2027; --card: #232a33;
    --blue: #56b4e9; --bad: #ff8a3d } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 860px; padding: 32px 24px 64px; color: var(--ink); background: var(--page);
  font: 16px/1.55 system-ui, "Segoe UI", "Liberation Sans", "Noto Sans CJK SC", sans-serif }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px }
h2 { font-size: 20px; margin: 40px 0 8px }
h3 { font-size: 16px; margin: 24px 0 4px }
p { margin: 8px 0 }
.soft, small { color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin: 20px 0 }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px }
.tile b { display: block; font-size: 28px; line-height: 1.2; font-variant-numeric: tabular-nums }
.ticket { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 6px;
  padding: 12px 16px; margin: 12px 0 }
.chosen-row { background: var(--card) }
table { border-collapse: collapse; width: 100%; margin: 12px 0; font-size: 14px }
th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: bottom }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line) }
.n { text-align: right; font-variant-numeric: tabular-nums }
td.n { white-space: nowrap }
@media (max-width: 640px) { table { display: block; overflow-x: auto } body { padding: 24px 16px 48px } }
code { font: 13px ui-monospace, "Liberation Mono", monospace }
svg { display: block; width: 100%; height: auto; margin: 8px 0 }
svg text { font: 11px system-ui, "Liberation Sans", "Noto Sans CJK SC", sans-serif; fill: var(--soft) }
@media (max-width: 640px) { svg text { font-size: 18px } }
svg .end { text-anchor: end }
svg .mid { text-anchor: middle }
svg .grid { stroke: var(--line); stroke-width: 1 }
svg .level { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 5 3 }
svg .run { fill: none; stroke: var(--soft); stroke-width: 1.1; opacity: .75 }
svg .calm { fill: var(--blue) }
svg .none { fill: var(--soft) }
svg .bad { fill: var(--bad) }
svg .watch { fill: var(--watch) }
svg .good { fill: var(--good) }
svg .odd { fill: var(--odd) }
svg .span { fill: var(--bad); opacity: .13 }
svg .week { fill: var(--bad) }
svg .line0 { stroke: var(--blue); fill: none; stroke-width: 2 }
svg .line1 { stroke: var(--bad); fill: none; stroke-width: 2; stroke-dasharray: 6 3 }
svg .line2 { stroke: var(--good); fill: none; stroke-width: 2; stroke-dasharray: 2 3 }
svg .bar { stroke-width: 1; opacity: .6; stroke-dasharray: none }
svg .line0.point { fill: var(--blue); stroke: none }
svg .line1.point { fill: var(--bad); stroke: none }
svg .line2.point { fill: var(--good); stroke: none }
svg .chosen { fill: var(--good); stroke: none }
details summary { cursor: pointer; color: var(--soft) }
"""
