// What a mark of a chart stands for, under the pointer; its like in the other charts, while it is pointed at; tables in
// the order of a column. Texts are only ever set as text.
(() => {
  const MARKS = ["bar", "tick", "point", "rule mark", "line mark", "rect"].map((kind) => `[aria-roledescription="${kind}"]`).join();
  const marks = [...document.querySelectorAll(`figure svg :is(${MARKS})[aria-label]`)];
  const label = (mark) => mark.getAttribute("aria-label");
  const name = (mark) => label(mark).split(": ", 1)[0];
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  let shown = null;

  function show(mark) {
    if (mark === shown) return;
    shown = mark;
    tip.hidden = !mark;
    if (mark) tip.textContent = label(mark);
    for (const other of marks) other.classList.toggle("faint", Boolean(mark) && name(other) !== name(mark));
  }

  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[aria-label]");
    show(mark && marks.includes(mark) ? mark : null);
    if (!shown) return;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, event.clientY - tip.offsetHeight - 10)}px)`;
  });
  document.documentElement.addEventListener("pointerleave", () => show(null));

  const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, thousand: 1e3, million: 1e6, billion: 1e9 };
  function value(cell) {
    const text = cell.textContent.trim().replaceAll(",", "").replace("−", "-");
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number * (UNITS[text.split(/\s+/)[1]] ?? 1);
  }
  function compare(a, b) {
    if (typeof a === typeof b) return a < b ? -1 : Number(a > b);
    return typeof a === "number" ? -1 : 1;
  }
  for (const heading of document.querySelectorAll("table.sortable thead th")) {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = heading.closest("table").tBodies[0];
      const keyed = [...body.rows].map((row) => [value(row.cells[heading.cellIndex]), row]);
      keyed.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    });
  }
})();
