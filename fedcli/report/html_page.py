"""The style and the script of the HTML report."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0072b2; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1440px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 16px; }
h2 { font-size: 19px; margin: 36px 0 6px; }
h4 { margin: 12px 0 4px; }
p { margin: 0 0 10px; max-width: 90ch; opacity: .8; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; }
.cards div { border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; }
.cards b { display: block; font-size: 20px; }
.cards span { opacity: .75; font-size: 13px; }
.notes { margin: 16px 0 0; padding: 10px 10px 10px 30px; border-left: 4px solid #e69f00; background: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; background: var(--soft); }
td { max-width: 44ch; overflow-wrap: break-word; }
.sortable td { white-space: nowrap; max-width: 30ch; overflow: hidden; text-overflow: ellipsis; }
.number { text-align: right; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); }
th button::after { content: " \\2195"; opacity: .35; }
th[aria-sort="ascending"] button::after { content: " \\2191"; opacity: 1; }
th[aria-sort="descending"] button::after { content: " \\2193"; opacity: 1; }
tr.baseline td { font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 20px; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: 10px; }
svg { display: block; width: 100%; height: auto; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: 10px 14px; border-radius: 8px; }
summary { cursor: pointer; padding: 4px 0; }
footer { margin-top: 40px; opacity: .6; font-size: 13px; }
@media print { body { max-width: none; padding: 0; } th button::after { content: ""; } }
"""

#: Sorts a table by the column whose heading is clicked: numbers as numbers, cells without a value last.
SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const value = row => row.cells[column].dataset.value;
    const rows = [...body.rows].sort((first, second) => {
      const [a, b] = [value(first), value(second)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return descending ? -order : order;
    });
    body.append(...rows);
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }));
}
"""
