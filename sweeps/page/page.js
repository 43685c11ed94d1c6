"use strict";
// The page reads without this: it adds sorting, hints, the choice of theme, and opens what is linked to.

const said = document.getElementById("said");

function cellValue(row, column) {
  const cell = row.cells[column];
  const value = cell.dataset.sort;
  return value === undefined ? cell.textContent.trim() : value === "" ? null : Number(value);
}

function compare(one, other) {
  if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
  return typeof one === "string" ? one.localeCompare(other, undefined, { numeric: true }) : one - other;
}

function sortTable(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.forEach((row, place) => (row.dataset.place ??= place));
  const fixed = rows.filter((row) => row.classList.contains("fixed"));
  const free = rows.filter((row) => !row.classList.contains("fixed"));
  free.sort((a, b) => a.dataset.place - b.dataset.place);
  if (direction !== "none") {
    const sign = direction === "ascending" ? 1 : -1;
    free.sort((a, b) => {
      const [x, y] = [cellValue(a, column), cellValue(b, column)];
      // What has no number stays last either way.
      return x === null || y === null ? compare(x, y) : sign * compare(x, y);
    });
  }
  body.append(...free, ...fixed.sort((a, b) => a.dataset.place - b.dataset.place));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const numeric = head.classList.contains("number");
    const order = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    button.addEventListener("click", () => {
      const next = order[(order.indexOf(head.getAttribute("aria-sort") ?? "none") + 1) % order.length];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.setAttribute("aria-sort", next);
      sortTable(table, column, next);
      said.textContent = next === "none" ? "original order" : `sorted by ${button.textContent.trim()}, ${next}`;
    });
  });
}

const hint = document.getElementById("hint");
let hiding;

function showHint(link) {
  clearTimeout(hiding);
  hint.textContent = link.dataset.hint;
  hint.hidden = false;
  link.setAttribute("aria-describedby", "hint");
  const at = link.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), innerWidth - hint.offsetWidth - 8);
  const below = at.bottom + 6;
  const top = below + hint.offsetHeight > innerHeight ? at.top - hint.offsetHeight - 6 : below;
  hint.style.left = `${Math.max(8, left)}px`;
  hint.style.top = `${Math.max(8, top)}px`;
}

function hideHint(link, wait) {
  clearTimeout(hiding);
  link?.removeAttribute("aria-describedby");
  hiding = setTimeout(() => (hint.hidden = true), wait);
}

for (const link of document.querySelectorAll("[data-hint]")) {
  link.addEventListener("pointerenter", () => showHint(link));
  link.addEventListener("pointerleave", () => hideHint(link, 150));
  link.addEventListener("focus", () => showHint(link));
  link.addEventListener("blur", () => hideHint(link, 0));
}
hint.addEventListener("pointerenter", () => clearTimeout(hiding));
hint.addEventListener("pointerleave", () => hideHint(null, 150));
addEventListener("keydown", (event) => event.key === "Escape" && hideHint(null, 0));
addEventListener("scroll", () => hideHint(null, 0), { passive: true });

const themes = ["auto", "light", "dark"];
const toggle = document.getElementById("theme");

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  toggle.textContent = `Theme: ${name}`;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // A page that may keep nothing has its theme until it is closed.
  }
}

function keptTheme() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

toggle.hidden = false;
setTheme(themes.includes(keptTheme()) ? keptTheme() : "auto");
toggle.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  setTheme(themes[(themes.indexOf(now) + 1) % themes.length]);
});

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target.scrollIntoView();
}

addEventListener("hashchange", openTarget);
openTarget();
