// A poll never moves rows: what changed changes in place, new rows wait behind a link, decided ones stay, struck.

function numbered(body) {
  return new Map([...body.children].filter((row) => row.dataset.number).map((row) => [row.dataset.number, row]));
}

function struck(row) {
  const copy = row.cloneNode(true);
  copy.classList.add("gone");
  copy.querySelectorAll("input").forEach((box) => (box.disabled = true));
  const why = copy.querySelector(".c-why");
  if (why) why.textContent = "Decided, now in History";
  return copy;
}

function newsLine(rows, fresh) {
  const link = rows.map((row) => row.querySelector("[data-news]")).find(Boolean);
  if (!link || !fresh) return;
  link.hidden = false;
  link.textContent = `${fresh} new, show ${fresh === 1 ? "it" : "them"}`;
}

function columns(root) {
  return [...root.querySelectorAll("thead th")].map((head) => head.className).join();
}

function merged(old, incoming, staying, more) {
  const arriving = numbered(incoming);
  const known = numbered(old);
  const fresh = [...arriving.keys()].filter((number) => !known.has(number)).length;
  let pushedOff = more ? fresh : 0;
  const rows = [];
  for (const row of [...old.children].reverse()) {
    const { number, band } = row.dataset;
    if (!number) {
      const twin = incoming.querySelector(`[data-band="${CSS.escape(band)}"]`);
      rows.push(twin ?? row.cloneNode(true));
    } else if (arriving.has(number)) {
      rows.push(arriving.get(number));
      pushedOff = 0;
    } else {
      rows.push(staying || pushedOff-- > 0 || row.classList.contains("gone") ? row.cloneNode(true) : struck(row));
    }
  }
  newsLine(rows, fresh);
  return rows.reverse();
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement.id !== "rows" || ctx.sourceEvent?.type !== "tick") return;
  const old = ctx.sourceElement.querySelector("tbody");
  const main = tasks.find((task) => task.type === "main");
  if (!old || !main) return;
  const staying = ctx.sourceElement.dataset.tab === "history";
  const incoming = main.fragment.querySelector("tbody");
  // Where somebody has arranged the columns meanwhile, no old row fits any more.
  if (incoming && columns(ctx.sourceElement) !== columns(main.fragment)) return;
  if (incoming) {
    const more = Boolean(main.fragment.querySelector("[data-next]"));
    incoming.replaceChildren(...merged(old, incoming, staying, more));
  } else {
    const kept = [...ctx.sourceElement.childNodes].map((node) => node.cloneNode(true));
    main.fragment.replaceChildren(...kept);
    main.fragment.querySelectorAll("tr[data-number]:not(.gone)").forEach((row) => row.replaceWith(struck(row)));
  }
});
