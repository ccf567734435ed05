"""How a report looks, and what its few lines of script do."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2731; --quiet: #5a6672; --paper: #fff; --raised: #f5f7f9; --line: #d9dee3;
  --link: #005a94; --good: #00664a; --good-back: #e3f4ee; --bad: #8f2c00; --bad-back: #fdeee3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --quiet: #a0acb8; --paper: #14191e; --raised: #1d242b; --line: #36414c; --link: #7cc4ff;
    --good: #7fd9b8; --good-back: #12302a; --bad: #ffb98a; --bad-back: #3a2417; }
  figure img { filter: invert(0.92) hue-rotate(180deg); }
  .coloured img { filter: brightness(0.9); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 0.25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0; margin: 1rem 0 0; }
.quiet, figcaption, footer { color: var(--quiet); font-size: 0.9rem; }
.verdict { border-left: 0.35rem solid; border-radius: 0.25rem; padding: 0.75rem 1rem; margin: 1rem 0; }
.verdict p, .verdict ul { margin: 0.25rem 0 0; max-width: none; }
.verdict li { margin-top: 0.35rem; }
.verdict.good { border-color: var(--good); background: var(--good-back); }
.verdict.bad { border-color: var(--bad); background: var(--bad-back); }
.verdict.good > strong { color: var(--good); }
.verdict.bad > strong { color: var(--bad); }
.estimates { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 1rem 0; padding: 0; }
.estimates div { background: var(--raised); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.5rem 1rem; }
.estimates dt { color: var(--quiet); font-size: 0.85rem; }
.estimates dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.scroll { overflow: auto; max-height: 75vh; border: 1px solid var(--line); border-radius: 0.4rem; margin: 0.75rem 0; }
table { border-collapse: separate; border-spacing: 0; font-size: 0.88rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 0.3rem 0.7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
.summary thead th { position: sticky; top: 0; z-index: 2; background: var(--raised); }
.summary tbody th { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--paper);
  max-width: min(16rem, 40vw); overflow: hidden; text-overflow: ellipsis; }
.summary thead th:first-child { text-align: left; left: 0; z-index: 3; }
td.bad { color: var(--bad); background: var(--bad-back); font-weight: 600; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible, summary:focus-visible, a:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: 0.7em; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: 0.7em; }
.facts th, .facts td { text-align: left; white-space: normal; vertical-align: top; }
.facts th { width: 9rem; color: var(--quiet); font-weight: 400; }
figure { margin: 1.25rem 0 2rem; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 0.3rem; }
.picture { overflow-x: auto; }
figcaption { margin-top: 0.4rem; max-width: 52rem; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; padding: 0.2rem 0; }
code, pre { font-family: ui-monospace, "Cascadia Code", "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 0.88em; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.9rem 1.1rem;
  overflow-x: auto; line-height: 1.45; tab-size: 2; overflow-wrap: normal; }
pre code { font-size: 1em; }
.c { color: #5d6b78; font-style: italic; } .s { color: #a03a00; } .n { color: #0b6b3a; } .t { color: #005a94; }
.d, .k { color: #7a2380; font-weight: 600; } .b { color: #5b4300; } .f { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .c { color: #96a3af; } .s { color: #ffb98a; } .n { color: #86dcae; } .t { color: #7cc4ff; }
  .d, .k { color: #e2a4ea; } .b { color: #e8cf85; }
}
@media screen and (max-width: 40rem) { figure img { max-width: none; width: max(100%, 40rem); } }
footer { padding-top: 2rem; padding-bottom: 3rem; }
@media print {
  :root { color-scheme: light; --ink: #000; --quiet: #444; --paper: #fff; --raised: #f5f5f5; --line: #bbb; --link: #000;
    --good: #00664a; --good-back: #fff; --bad: #8f2c00; --bad-back: #fff; }
  body { font-size: 10.5pt; }
  nav { display: none; }
  .scroll { max-height: none; overflow: visible; border: 0; }
  table { font-size: 7.5pt; }
  th, td { padding: 0.15rem 0.35rem; }
  .summary thead th, .summary tbody th { position: static; }
  figure img, .coloured img { filter: none; max-height: 23cm; width: auto; }
  figure, tr, .verdict { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  pre { white-space: pre-wrap; }
  .c, .s, .n, .t, .d, .k, .b, .f { color: inherit; }
}
"""

SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[head.cellIndex].dataset.v;
  body.append(...[...body.rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    return (down ? -1 : 1) * (x - y);
  }));
});
"""
"""Sorts a table by a column; what is not a number stays last."""
