// What a page must not do to its reader. Gives sentences; none when all is well.
() => {
  const CHIP_ROWS = ".views, .filters, .tabs, .setnav > ul";
  const ROWS = "tr, .top, .views, .filters, .foot, .lines li, .ev li, .tl li, .kv, .meta, .facts, .decide .row, .ph, .nav, .notice";
  const BUTTONS = "button, .btn, .tag, .chip, .seg > *";
  const phone = innerWidth <= 760;
  const found = [];

  const onlyHeard = (element) => element.closest(".sr") || getComputedStyle(element).clipPath === "inset(50%)";
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !onlyHeard(element);
  const named = (element) => {
    const { left, right, top } = element.getBoundingClientRect();
    const words = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> “${words}” (${Math.round(left)} to ${Math.round(right)}, at ${Math.round(top)})`;
  };
  const all = [...document.body.querySelectorAll("*")].filter((element) => !element.closest("svg, template, dialog:not([open])") && shown(element));
  const tooWide = (element) => element.clientWidth > 1 && element.scrollWidth > element.clientWidth + 1;
  const overflow = (element) => getComputedStyle(element).overflowX;
  const hides = (element) => ["hidden", "clip"].includes(overflow(element));
  const scrolls = (element) => ["auto", "scroll"].includes(overflow(element));
  const inScroller = (element) => element.parentElement?.closest("body > *") && [...function* () { for (let at = element.parentElement; at; at = at.parentElement) yield at; }()].some((at) => scrolls(at) || hides(at));

  // Nothing scrolls sideways.
  if (document.documentElement.scrollWidth > innerWidth) {
    const guilty = all.filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !inScroller(element));
    found.push(`the page scrolls sideways (${document.documentElement.scrollWidth} px in ${innerWidth}): ${guilty.slice(-3).map(named).join(", ")}`);
  }
  for (const element of all.filter((one) => scrolls(one) && tooWide(one) && !one.matches("textarea, input, select"))) {
    if (phone && element.matches(CHIP_ROWS)) continue;
    found.push(`scrolls sideways inside: ${named(element)}`);
  }

  // What is cut says so with an ellipsis, and an ellipsis only works on the text right inside.
  const cutsBlock = (element) => {
    const edge = element.getBoundingClientRect().right;
    return [...element.children].some((child) => shown(child) && !getComputedStyle(child).display.startsWith("inline") && child.getBoundingClientRect().right > edge + 1);
  };
  for (const element of all.filter((one) => hides(one) && tooWide(one) && !one.matches("input, select, progress"))) {
    const says = getComputedStyle(element).textOverflow === "ellipsis" && !cutsBlock(element);
    if (!says) found.push(`cut without a sign: ${named(element)}`);
  }
  for (const element of all.filter((one) => one.matches(BUTTONS) && tooWide(one) && !scrolls(one))) found.push(`text spills over its border: ${named(element)}`);

  // Text of one row never lies on other text of it.
  const clipped = (rect, from, to) => {
    let { left, right, top, bottom } = rect;
    for (let at = from; at && at !== to; at = at.parentElement) {
      if (!hides(at) && !scrolls(at)) continue;
      const box = at.getBoundingClientRect();
      [left, right, top, bottom] = [Math.max(left, box.left), Math.min(right, box.right), Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    return { left, right, top, bottom };
  };
  const texts = (row) => {
    const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    const parts = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.data.trim() || !shown(node.parentElement) || node.parentElement.closest("option")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const rect of range.getClientRects()) parts.push({ node, ...clipped(rect, node.parentElement, row) });
    }
    return parts.filter((part) => part.right - part.left > 1 && part.bottom - part.top > 1);
  };
  const lie = (a, b) => a.node !== b.node && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  for (const row of all.filter((one) => one.matches(ROWS))) {
    const parts = texts(row);
    parts.forEach((a, at) => {
      const b = parts.slice(at + 1).find((other) => lie(a, other));
      if (b) found.push(`“${a.node.data.trim().slice(0, 30)}” lies on “${b.node.data.trim().slice(0, 30)}” in ${named(row)}`);
    });
  }
  return found;
}
