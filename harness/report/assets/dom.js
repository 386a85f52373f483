// Elements and words. Everything from the model becomes a text node or a property, never markup.

const h = (selector, properties, ...children) => {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

const STANDINGS = {
  valid: "✔ valid",
  limits: "≈ known limits",
  unknown: "? unknown",
  invalid: "✘ invalid",
};

const badge = (standing) => h(`span.badge.${standing in STANDINGS ? standing : "unknown"}`, null, STANDINGS[standing] || "? unknown");

const integer = new Intl.NumberFormat("en");
const number = (value) => (value === null || value === undefined ? "–" : integer.format(value));
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

// A length of time in seconds, with three figures that matter.
const span = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  return `${seconds.toFixed(seconds < 100 ? 2 : 0)} s`;
};

// A moment, in seconds since the run's first event.
const moment = (seconds, digits = 3) => `${seconds.toFixed(digits)} s`;

const table = (heads, rows, caption) =>
  h("div.scroll", { tabindex: "0", role: "region", "aria-label": caption },
    h("table.grid", null,
      h("caption.hidden", null, caption),
      h("thead", null, h("tr", null, heads.map(([name, numeric]) => h(numeric ? "th.n" : "th", { scope: "col" }, name)))),
      h("tbody", null, rows)));

const button = (label, onclick, properties) => h("button", { type: "button", onclick, ...properties }, label);

const copyButton = (text) => {
  const element = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages opened from a file may not use the clipboard: let the browser copy a selection instead.
      const field = h("textarea", { readonly: true, class: "hidden" });
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    element.textContent = "Copied";
    setTimeout(() => { element.textContent = "Copy"; }, 1500);
  });
  return element;
};

// A colour, length or font of the style sheet, as the scheme now has it.
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const onScheme = (callback) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
