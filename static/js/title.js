// Tab and icon say how many wait, also while another tab is looked at.

const icon = document.querySelector("link[rel=icon]");

function show() {
  const waiting = document.querySelector("[data-waiting]")?.dataset.waiting ?? "";
  const plain = document.title.replace(/^\([^)]*\) /, "");
  const title = waiting && waiting !== "0" ? `(${waiting}) ${plain}` : plain;
  if (document.title !== title) document.title = title;
  const href = title === plain ? icon?.dataset.quiet : icon?.dataset.busy;
  if (href && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
}

document.addEventListener("htmx:after:swap", show);
show();
