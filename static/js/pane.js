// Opens a row beside the list, keeps the address true, and puts focus on the evidence, never on a decision.

const pane = document.getElementById("pane");
const listed = Boolean(pane && document.getElementById("rows"));

let turn = 0;
let following = false;
let asked = null;

const shown = () => pane?.querySelector("article")?.dataset.number ?? "";
const rowOf = (number) => document.querySelector(`#rows tr[data-number="${CSS.escape(number)}"]`);

function markOpen() {
  const number = shown();
  document.querySelectorAll("#rows tr[data-number]").forEach((row) => row.classList.toggle("open", row.dataset.number === number));
}

function load(url) {
  return htmx.ajax("GET", url.pathname + url.search, { source: pane, target: pane, swap: "innerHTML" });
}

function open(href) {
  const url = new URL(href, location.href);
  if (url.origin !== location.origin) return;
  history[shown() ? "replaceState" : "pushState"](null, "", url);
  load(url);
}

// The list keeps the focus and the pane comes along; what is on its way already isn't asked for again.
function follow(link) {
  if (!listed || (link.href === location.href && following)) return;
  following = true;
  open(link.href);
}

// Where a decision leads on to: the row below, above at the end of the list, nowhere from a page or from History.
function nextTo(number) {
  if (document.getElementById("rows")?.dataset.tab !== "pending") return "";
  const list = [...document.querySelectorAll("#rows tr[data-number]:not(.gone)")];
  const at = list.findIndex((row) => row.dataset.number === number);
  return at < 0 ? "" : ((list[at + 1] ?? list[at - 1])?.dataset.number ?? "");
}

function empty() {
  turn += 1;
  return htmx.swap({ text: "", sourceElement: pane, target: pane, swap: "innerHTML" });
}

async function close(href) {
  const number = shown();
  history.pushState(null, "", new URL(href, location.href));
  await empty();
  markOpen();
  rowOf(number)?.querySelector("a.row")?.focus();
}

function plainClick(event) {
  return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}

// Whether a comment is needed depends on the button; the browser's own check says so before anything is sent.
function askComment(button, byHand) {
  const mode = button.form?.elements.mode;
  if (mode) mode.value = byHand ? "click" : "key";
  const then = button.form?.elements.then;
  if (then) then.value = ["approve", "reject"].includes(button.value) ? nextTo(shown()) : "";
  const comment = button.form?.elements.comment;
  if (comment) comment.required = button.hasAttribute("data-needs-comment");
  asked = button;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[name=verb]");
  if (button) askComment(button, event.isTrusted);
}, true);

document.addEventListener("click", (event) => {
  if (!listed || !plainClick(event)) return;
  const link = event.target.closest("a[data-open]");
  const closer = event.target.closest("#pane a[data-close]");
  if (!link && !closer) return;
  event.preventDefault();
  following = false;
  if (link) open(link.href);
  else close(closer.href);
});

document.addEventListener("follow", (event) => follow(event.target));

// Ctrl+Enter in a comment sends it with the button that asked for it; the next action has to be asked about anew.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.target.name !== "comment") return;
  if (asked?.isConnected && asked.form === event.target.form) asked.click();
});

// A poll that was on its way while somebody opened, decided or closed would put the old state back.
document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  if (!pane || ctx.target !== pane) return;
  if (ctx.sourceEvent?.type === "tick") ctx.turn = turn;
  else turn += 1;
});

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (!pane || ctx.target !== pane) return;
  if (ctx.turn === undefined) turn += 1;
  else if (ctx.turn !== turn) event.preventDefault();
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  if (!listed) return;
  markOpen();
  if (ctx.target !== pane || ctx.sourceEvent?.type === "tick") return;
  asked = null;
  if (ctx.sourceElement.name === "verb") afterDecision();
  else if (!following || !document.activeElement.closest("#rows")) focusEvidence();
});

function focusEvidence() {
  pane.querySelector("[data-focus]")?.focus({ preventScroll: true });
}

// The answer shows the next one already; address and focus go there with it.
function afterDecision() {
  const url = new URL(location.href);
  const row = rowOf(shown());
  if (url.searchParams.get("open") !== shown()) {
    url.searchParams.set("open", shown());
    history.replaceState(null, "", url);
  }
  following = Boolean(row?.checkVisibility());
  if (!following) return focusEvidence();
  row.scrollIntoView({ block: "nearest" });
  row.querySelector("a.row").focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !listed || !shown() || document.querySelector("dialog[open]")) return;
  if (event.target.matches("textarea, input:not([type=checkbox]), select")) event.target.blur();
  else close(pane.querySelector("a[data-close]").href);
});

window.addEventListener("popstate", () => {
  if (!listed) return;
  const url = new URL(location.href);
  if (url.searchParams.has("open")) load(url);
  else empty().then(markOpen);
});

// A filter applies as soon as it is chosen; the button is for those without scripts.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-filter]");
  if (form && event.target.matches("select, input[type=date]")) form.requestSubmit();
});

// What was said belongs to what was just recorded, not to the next button.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const comment = document.getElementById("comment");
  if (comment && ctx.sourceElement.matches?.("button[name=verb]") && ctx.response?.status < 300) comment.value = "";
});

// Empty fields say nothing and stay out of the address; fields put away because they don't apply are not sent.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const drop = form.matches("form[data-filter]") ? (field) => !field.value
    : form.matches("form[data-unseen-unsent]") ? (field) => field.type !== "hidden" && !field.checkVisibility()
    : null;
  if (!drop) return;
  const dropped = [...form.elements].filter((field) => field.name && drop(field));
  for (const field of dropped) field.disabled = true;
  setTimeout(() => dropped.forEach((field) => (field.disabled = false)));
});
