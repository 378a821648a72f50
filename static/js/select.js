// The bulk bar says what is selected and why a button is off. Without this the form still works; the server decides.

const boxes = (state = "") => [...document.querySelectorAll(`#rows tbody input[name="selected"]${state}`)];
const chosen = () => boxes(":checked:not(:disabled)");
// The server settles which they are, and says how many stayed.
const EVERYTHING = ["Everything in this list when you send it, at most 500.", "Several kinds or risks at once are refused."];
let lastClicked = null;

function tally(list, key) {
  const counts = new Map();
  for (const box of list) counts.set(box.dataset[key], (counts.get(box.dataset[key]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function names(code, list) {
  return list.find((box) => box.dataset.type === code).dataset.label;
}

function sentence(list, kinds) {
  if (kinds.length > 1) {
    const parts = kinds.map(([code, count]) => `${count} ${names(code, list)}`);
    return [`${kinds.length} kinds of action: ${parts.join(", ")}.`, "One decision covers one kind."];
  }
  const groups = tally(list.filter((box) => box.dataset.group), "group").length;
  const oneway = list.filter((box) => box.dataset.undo === "oneway").length;
  const critical = list.filter((box) => "critical" in box.dataset).length;
  const facts = [`All are ${names(kinds[0][0], list)}`];
  if (groups > 1) facts.push(`${groups} groups`);
  facts.push(oneway ? `${oneway} cannot be undone` : "all can be undone");
  const rest = critical ? `${critical} on a critical asset.` : "The comment is recorded with each of them.";
  return [`${facts.join(", ")}.`, rest];
}

function update() {
  const bar = document.getElementById("bulk");
  if (!bar) return;
  boxes(":checked:disabled").forEach((box) => (box.checked = false));
  const list = chosen();
  const page = document.querySelector("#rows [data-all]");
  if (page) {
    page.checked = list.length > 0 && list.length === boxes(":not(:disabled)").length;
    page.indeterminate = list.length > 0 && !page.checked;
  }
  const everything = bar.querySelector("[data-everything]");
  if (!list.length) {
    if (everything) everything.checked = false;
    return;
  }
  const kinds = tally(list, "type");
  const all = everything?.checked;
  const [first, second] = all ? EVERYTHING : sentence(list, kinds);
  bar.querySelector("[data-count]").textContent = all ? "All pages" : `${list.length} selected`;
  bar.querySelector("[data-first]").textContent = first;
  bar.querySelector("[data-second]").textContent = second;
  const keep = bar.querySelector("[data-keep]");
  keep.hidden = all || kinds.length === 1;
  keep.dataset.keep = kinds[0][0];
  keep.textContent = `Keep the ${kinds[0][1]} ${names(kinds[0][0], list)}`;
  for (const button of bar.querySelectorAll("button[name=verb]")) {
    button.disabled = !all && kinds.length > 1;
    button.querySelector("[data-n]").textContent = all ? " all" : kinds.length > 1 ? "" : ` ${list.length}`;
  }
}

function range(to) {
  const list = boxes(":not(:disabled)");
  const ends = [list.indexOf(lastClicked), list.indexOf(to)].sort((a, b) => a - b);
  if (ends[0] < 0) return;
  list.slice(ends[0], ends[1] + 1).forEach((box) => (box.checked = to.checked));
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.('#rows input[name="selected"]');
  if (box) {
    if (event.shiftKey && lastClicked) range(box);
    lastClicked = box;
    update();
  }
  const keep = event.target.closest?.("[data-keep]");
  if (keep) {
    chosen().forEach((chosenBox) => (chosenBox.checked = chosenBox.dataset.type === keep.dataset.keep));
    update();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("#rows [data-all]")) {
    boxes(":not(:disabled)").forEach((box) => (box.checked = event.target.checked));
  }
  if (event.target.closest("#rows") || event.target.matches("[data-everything]")) update();
});

document.addEventListener("reset", () => setTimeout(update));
document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  const bar = document.getElementById("bulk");
  if (ctx.sourceElement === bar && ctx.response?.status < 300) bar.reset();
  update();
});
update();
