// Single keys for people who live in the list. They rest while somebody types, and everybody can change them or
// switch them off: the help holds which there are.

const TOGETHER = 1500;
const root = document.documentElement;
const dialog = document.getElementById("keys");
const bound = new Map([...(dialog?.querySelectorAll("[data-command]") ?? [])].map((each) => [each.dataset.keys, each.dataset.command]));
const isOff = () => dialog?.querySelector("[data-keys-on]")?.checked === false;
const rows = () => [...document.querySelectorAll("#rows tr[data-number]")];
const focused = () => document.activeElement?.closest("#rows tr[data-number]");

let begun = "";
let since = 0;

function applySwitch() {
  root.classList.toggle("nokeys", isOff());
}

function current() {
  const list = rows();
  const at = list.indexOf(focused());
  return at >= 0 ? at : list.findIndex((row) => row.classList.contains("open"));
}

function follow(link) {
  link?.dispatchEvent(new CustomEvent("follow", { bubbles: true }));
}

function move(step) {
  const list = rows();
  const next = list[Math.max(0, Math.min(list.length - 1, current() + step))];
  const link = next?.querySelector("a.row");
  if (!link) return;
  next.scrollIntoView({ block: "nearest" });
  link.focus({ preventScroll: true });
  if (document.querySelector("#pane article")) follow(link);
}

// Many at once are never decided by one key: it only leads to the button. Nor is what isn't shown: it is shown first.
function decide(command) {
  if (document.querySelector("#rows input[name=selected]:checked")) {
    return document.querySelector(`#bulk [data-command="${command}"]:not(:disabled)`)?.focus();
  }
  const row = focused();
  if (row && row.dataset.number !== document.querySelector("#pane article")?.dataset.number) {
    return follow(row.querySelector("a.row"));
  }
  document.querySelector(`#pane [data-command="${command}"]:not(:disabled)`)?.click();
}

const commands = {
  next: () => move(1),
  previous: () => move(-1),
  open: () => rows()[current()]?.querySelector("a.row").click(),
  select: () => rows()[current()]?.querySelector("input[name=selected]")?.click(),
  approve: () => decide("approve"),
  reject: () => decide("reject"),
  undo: () => decide("undo"),
  // Of a decision; where there is none, the one for the team.
  comment: () => (document.querySelector("#pane #comment") ?? document.querySelector("#pane textarea"))?.focus(),
  search: () => document.querySelector("[data-search]")?.focus(),
  pending: () => location.assign(dialog.dataset.pending),
  history: () => location.assign(dialog.dataset.history),
  help: () => dialog.showModal(),
};

// A key may begin a pair; a pair that took too long to press is none, and one that means nothing does nothing.
function commandOf(event) {
  const late = !begun || event.timeStamp - since > TOGETHER;
  const typed = late ? event.key : `${begun} ${event.key}`;
  const begins = [...bound.keys()].some((keys) => keys.startsWith(`${typed} `));
  begun = begins ? typed : "";
  since = event.timeStamp;
  return bound.get(typed);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff()) return;
  if (event.key.length !== 1 || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  const command = commandOf(event);
  if (command || begun) event.preventDefault();
  // A key held down walks, but decides once.
  if (command && !(event.repeat && !["next", "previous"].includes(command))) commands[command]();
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-keys-on]")) applySwitch();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-help]")) dialog?.showModal();
});

applySwitch();
