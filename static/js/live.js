// Beats, slowly while nobody looks: elements with hx-trigger="tick from:body" ask again.
const EVERY = 2000;
const JITTER = 400;
const LONGEST = 30000;
const UNSEEN = 60000;
const root = document.documentElement;
root.classList.add("js");

let wait = EVERY;
let timer = 0;

function beat() {
  clearTimeout(timer);
  timer = 0;
  document.body.dispatchEvent(new CustomEvent("tick"));
  plan();
}

function plan() {
  // Behind another tab only the title is looked at.
  const pause = document.visibilityState === "hidden" ? UNSEEN : wait;
  timer ||= setTimeout(beat, pause - JITTER / 2 + Math.random() * JITTER);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") beat();
});

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: root.dataset.zone || undefined });
let last = "";

function show(lost) {
  const sign = document.querySelector("[data-live]");
  if (!sign) return;
  if (!lost) last = clock.format(new Date());
  const words = lost ? `Connection lost${last ? `, last update ${last}` : ""}` : `Up to date, ${last}`;
  sign.dataset.state = lost ? "lost" : "ok";
  sign.querySelector("[data-live-text]").textContent = words;
  const said = sign.querySelector("[data-live-said]");
  const say = lost ? "Connection lost" : said.textContent ? "Connected again" : "";
  if (said.textContent !== say && (lost || said.textContent === "Connection lost")) said.textContent = say;
}

function isTick(ctx) {
  return ctx?.sourceEvent?.type === "tick";
}

// What the page asks for by itself, rows re-read after a decision included, never speaks over a notice.
function isQuiet(ctx) {
  return isTick(ctx) || ctx?.sourceEvent?.type === "changed";
}

function failed(event) {
  if (!isTick(event.detail.ctx)) return;
  wait = Math.min(wait * 2, LONGEST);
  show(true);
}

document.addEventListener("htmx:error", failed);
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (!isTick(ctx)) return;
  if (ctx.response.status >= 500) return failed(event);
  wait = EVERY;
  show(false);
});

// The person's session ended: the answer is the sign-in page, which belongs to the whole window.
document.addEventListener("htmx:before:response", (event) => {
  const { raw } = event.detail.ctx.response;
  if (raw.redirected && new URL(raw.url).pathname === root.dataset.signIn) {
    event.preventDefault();
    location.reload();
  }
});

// A list asks for what it shows: its state stands in data-poll, because hx-* attributes carry no data.
document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  const poll = ctx.sourceElement.dataset?.poll;
  const url = poll ? new URL(poll, location.href) : null;
  if (url?.origin === location.origin) ctx.request.action = url.pathname + url.search;
  // Only a beat may be told "nothing new"; who opens or decides something gets it in any case.
  if (!isTick(ctx)) delete ctx.request.headers["HX-PTag"];
});

// A line after 300 ms, on what the person asked for; the pressed button alone goes busy.
const slow = new WeakMap();

document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  if (isQuiet(ctx)) return;
  ctx.request.submitter?.setAttribute("aria-busy", "true");
  slow.set(ctx, setTimeout(() => ctx.target?.classList.add("slow"), 300));
});

document.addEventListener("htmx:finally:request", (event) => {
  const { ctx } = event.detail;
  clearTimeout(slow.get(ctx));
  ctx.target?.classList?.remove("slow");
  ctx.request.submitter?.removeAttribute("aria-busy");
});

// What was answered is settled; the next press is another request. Without an answer the key stays, so that
// sending again can't do it twice.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const form = ctx.request.submitter?.form ?? ctx.sourceElement.closest?.("form");
  const key = form?.elements.idempotency_key;
  if (!key || !ctx.response || ctx.response.status >= 500) return;
  key.value = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
});

// An answer nobody can show (no data-notice in it, or no answer at all) is still said.
function say(title, words) {
  const made = document.getElementById("failed")?.content.cloneNode(true);
  if (!made) return;
  made.querySelector("[data-title]").textContent = title;
  made.querySelector("[data-text]").textContent = words;
  document.getElementById("notice")?.replaceChildren(made);
}

document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  if (isQuiet(ctx) || ctx.text?.includes("data-notice")) return;
  say("That did not work", `The server answered ${ctx.response.status}. Reload the page to see what is true.`);
});

document.addEventListener("htmx:error", (event) => {
  if (isQuiet(event.detail.ctx)) return;
  say("No answer", "The server could not be reached. Reload the page to see what is true.");
});

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("[data-notice]")?.remove();
});

plan();
