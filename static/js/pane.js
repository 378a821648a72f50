// Opens a row beside the list, keeps the address true, and puts focus on the evidence, never on a decision.

const pane = document.getElementById("pane");
const listed = Boolean(pane && document.getElementById("rows"));

let turn = 0;

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
  const comment = button.form?.elements.comment;
  if (comment) comment.required = button.hasAttribute("data-needs-comment");
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
  if (link) open(link.href);
  else close(closer.href);
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
  if (ctx.target === pane && ctx.turn !== undefined && ctx.turn !== turn) event.preventDefault();
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  if (!listed) return;
  markOpen();
  const asked = ctx.target === pane && ctx.sourceEvent?.type !== "tick";
  if (asked) pane.querySelector("[data-focus]")?.focus({ preventScroll: true });
});

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
