// Whoever works by keyboard keeps the place: when a swap takes away what had the focus, what stands nearest gets it.

let held = null;

const rows = () => [...document.querySelectorAll("#rows tr[data-number]")];
const lost = () => document.activeElement === document.body || !document.activeElement.checkVisibility();

// Numbers, the nearest first: the row itself, what follows it, then what stands before it.
function near(row) {
  const list = rows();
  const at = list.indexOf(row);
  return [...list.slice(at), ...list.slice(0, at).reverse()].map((each) => each.dataset.number);
}

function places(active) {
  const row = active.closest("#rows tr[data-number]");
  if (row) return near(row);
  if (!active.closest("#rows, #bulk")) return [];
  return near(document.querySelector("#rows tr:has(input[name=selected]:checked)") ?? rows()[0]);
}

document.addEventListener("htmx:before:swap", () => {
  const active = document.activeElement ?? document.body;
  // Whoever has clicked beside everything has no place to lose.
  held = active === document.body ? null : { numbers: places(active), pane: Boolean(active.closest("#pane")) };
});

document.addEventListener("htmx:after:swap", () => {
  if (!held || !lost()) return;
  const links = held.numbers.map((number) => document.querySelector(`#row-${CSS.escape(number)} a.row`));
  const evidence = document.querySelector("#pane [data-focus]");
  const ways = held.pane ? [evidence, ...links] : [...links, evidence];
  const next = ways.find((way) => way?.checkVisibility()) ?? document.getElementById("main");
  next.focus({ preventScroll: true });
});
