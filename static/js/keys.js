// Single lower-case keys for people who live in the list. Never while typing, and they can be switched off.

const SWITCH = "actioncenter.keys";
const root = document.documentElement;
const isOff = () => localStorage.getItem(SWITCH) === "off";
const rows = () => [...document.querySelectorAll("#rows tr[data-number]")];
const dialog = document.getElementById("keys");

function applySwitch() {
  root.classList.toggle("nokeys", isOff());
  const box = dialog?.querySelector("[data-keys-on]");
  if (box) box.checked = !isOff();
}

function current() {
  const list = rows();
  const at = list.indexOf(document.activeElement?.closest("#rows tr[data-number]"));
  return at >= 0 ? at : list.findIndex((row) => row.classList.contains("open"));
}

function move(step) {
  const list = rows();
  const next = list[Math.max(0, Math.min(list.length - 1, current() + step))];
  const link = next?.querySelector("a.row");
  if (!link) return;
  next.scrollIntoView({ block: "nearest" });
  link.focus({ preventScroll: true });
  if (document.querySelector("#pane article")) link.click();
}

function press(key) {
  const button = document.querySelector(`#pane [data-key="${key}"]:not(:disabled)`);
  if (button) return button.click();
  // Many at once are never decided by one key: it only leads to the button.
  document.querySelector(`#bulk [data-key="${key}"]:not(:disabled)`)?.focus();
}

const actions = {
  j: () => move(1),
  k: () => move(-1),
  x: () => rows()[current()]?.querySelector("input[name=selected]")?.click(),
  "/": () => document.querySelector("[data-search]")?.focus(),
  "?": () => dialog?.showModal(),
  a: () => press("a"),
  r: () => press("r"),
  u: () => press("u"),
  c: () => document.querySelector("#pane textarea")?.focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff()) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (document.querySelector("dialog[open]")) return;
  const action = Object.hasOwn(actions, event.key) && actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-keys-on]")) return;
  localStorage.setItem(SWITCH, event.target.checked ? "on" : "off");
  applySwitch();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-help]")) dialog?.showModal();
});

applySwitch();
