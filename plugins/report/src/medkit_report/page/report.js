"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Cards: which heat map, how opaque, boxes or not.
for (const card of all(".card")) {
  const which = card.querySelector(".which"), opacity = card.querySelector(".opacity"), toggle = card.querySelector(".toggle");
  which?.addEventListener("change", () => all(".map", card).forEach((map) => map.toggleAttribute("hidden", map.dataset.map !== which.value)));
  opacity?.addEventListener("input", () => {
    card.querySelector(".stage").style.setProperty("--opacity", opacity.value / 100);
    opacity.parentElement.querySelector("output").textContent = `${opacity.value} %`;
  });
  toggle?.addEventListener("change", () => card.classList.toggle("no-boxes", !toggle.checked));
  for (const button of all("[data-step]", card)) button.addEventListener("click", () => step(card, Number(button.dataset.step)));
}

const cards = all(".card");
function go(card) {
  card?.focus({ preventScroll: true });
  card?.scrollIntoView({ block: "start" });
}
function step(from, by) {
  go(cards[cards.indexOf(from) + by]);
}
// The card in the middle of the window; none while the page is above or below the cards.
function current() {
  const middle = innerHeight / 2;
  return cards.find((card) => {
    const { top, bottom } = card.getBoundingClientRect();
    return top <= middle && bottom > middle;
  });
}
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, .scroll")) return;
  const card = current();
  const key = event.key.toLowerCase();
  if (key === "arrowright") card ? step(card, 1) : go(cards[0]);
  else if (key === "arrowleft") card ? step(card, -1) : go(cards.at(-1));
  else if (key === "b") card?.querySelector(".toggle")?.click();
  else if (key === "h") {
    const slider = card?.querySelector(".opacity");
    if (!slider) return;
    const was = Number(slider.value);
    slider.value = was > 0 ? 0 : slider.dataset.before ?? 40;
    if (was > 0) slider.dataset.before = was;
    slider.dispatchEvent(new Event("input"));
  } else return;
  event.preventDefault();
});

// The table: filter and sort.
const body = document.querySelector("#files tbody");
if (body) {
  const rows = all("tr", body);
  const name = document.getElementById("filter-name"), status = document.getElementById("filter-status");
  const finding = document.getElementById("filter-finding"), count = document.getElementById("filter-count");
  const filter = () => {
    const text = name.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const hits = all("[data-hit]", row).map((cell) => cell.dataset.finding);
      const found = { "": true, "*": hits.length > 0, "-": row.dataset.status === "ok" && !hits.length }[finding.value] ?? hits.includes(finding.value);
      row.hidden = !(found && (!status.value || row.dataset.status === status.value) && row.cells[0].dataset.value.toLowerCase().includes(text));
      shown += !row.hidden;
    }
    count.textContent = shown === rows.length ? `${rows.length} files` : `${shown} of ${rows.length} files`;
  };
  for (const control of [name, status, finding]) control.addEventListener("input", filter);
  name.form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  for (const head of all("#files thead th")) head.addEventListener("click", () => {
    const column = head.cellIndex, text = head.dataset.kind === "text";
    const now = head.getAttribute("aria-sort"), first = text ? "ascending" : "descending";
    const next = now === null ? first : now === first ? (text ? "descending" : "ascending") : null;
    all("#files th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    const sorted = [...rows];
    if (next) {
      head.setAttribute("aria-sort", next);
      const key = (row) => text ? (row.cells[column].dataset.value ?? row.cells[column].textContent) : parseFloat(row.cells[column].textContent);
      const sign = next === "ascending" ? 1 : -1;
      sorted.sort((a, b) => {
        const x = key(a), y = key(b);
        if (text) return sign * x.localeCompare(y, undefined, { numeric: true });
        return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y);
      });
    }
    body.append(...sorted);
  });
}
