// Everything is there without this file: it lets tables be sorted and remembers whether pages are dark.
"use strict";

const root = document.documentElement;
const kept = localStorage.getItem("theme");
if (kept === "dark" || kept === "light") root.dataset.theme = kept;

const button = document.getElementById("theme");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

const worth = (cell) => {
  const whole = cell.querySelector("[title]");
  const text = (whole ? whole.title : cell.textContent).trim();
  const number = Number(text.replace(/,|%| USD$/g, ""));
  return text !== "" && text !== "–" && !Number.isNaN(number) ? number : text.toLowerCase();
};

for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("th").forEach((head, column) => {
    const sort = document.createElement("button");
    sort.type = "button";
    sort.textContent = head.textContent;
    head.replaceChildren(sort);
    sort.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].map((row) => [worth(row.cells[column]), row]);
      rows.sort(([one], [other]) => {
        if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
        const order = one < other ? -1 : one > other ? 1 : 0;
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}

const form = document.getElementById("what-if");
if (form) {
  const sliders = [...form.querySelectorAll("input[type=range]")];
  const tokens = (slider) => (Math.abs(slider.value) === 100 ? slider.dataset.tokens : String(Number((slider.dataset.tokens * Math.abs(slider.value) / 100).toPrecision(8))));
  form.querySelector("fieldset").hidden = false;
  for (const slider of sliders) {
    slider.addEventListener("input", () => { slider.nextElementSibling.textContent = `${slider.value} %`; });
    slider.addEventListener("change", () => {
      const moved = sliders.filter((each) => Number(each.value) !== 0);
      form.elements.shock.value = moved.filter((each) => each.dataset.shock).map((each) => `${each.dataset.shock}=${each.value / 100}`).join(",");
      form.elements.do.value = moved.filter((each) => each.dataset.tokens).map((each) => (each.value < 0 ? each.dataset.less : each.dataset.more) + tokens(each)).join(",");
      form.requestSubmit();
    });
  }
}
