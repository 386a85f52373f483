// The page: the overview, then every result. Errors are shown, and told to whoever tests the page.

const failed = (words) => {
  document.documentElement.dataset.error = words;
  const note = document.getElementById("failure");
  note.textContent = `This page's script failed (${words}); the evidence lies beside this file.`;
  note.hidden = false;
};
addEventListener("error", (event) => {
  // No error: the browser only puts off telling of a size to the next frame.
  if (!event.message.startsWith("ResizeObserver loop")) failed(event.message);
});
addEventListener("unhandledrejection", (event) => failed(String(event.reason)));
// A browser's extension may cause one too, so it is for tests to see, and no word to the reader.
addEventListener("securitypolicyviolation", (event) => {
  document.documentElement.dataset.error = `blocked: ${event.violatedDirective} ${event.blockedURI}`;
});

const overviewOf = (results) => {
  const of = (result, name) => (result.counts.find(([each]) => each === name) || [])[1];
  const trouble = (value) => h(value > 0 ? "td.n.wrong" : "td.n", null, number(value));
  const rows = results.map((result) => h("tr", null,
    h("td", null, h("a", { href: `#${result.id}` }, result.scenario)),
    h("td", null, result.backend),
    h("td", null, badge(result.standing)),
    h("td.n", null, number(of(result, "acknowledged"))),
    trouble(of(result, "lost")), trouble(of(result, "duplicated")), trouble(result.inversions),
    h("td.n", null, result.recovery_ms_max === null ? "–" : span(result.recovery_ms_max / 1000))));
  return table([["scenario"], ["backend"], ["verdict"], ["acknowledged", true], ["lost", true], ["duplicated", true],
    ["inversions", true], ["slowest recovery", true]], rows, "Overview");
};

const headline = (results) => {
  const tally = (standing) => results.filter((result) => result.standing === standing).length;
  const parts = [[tally("invalid"), "invalid"], [tally("unknown"), "unknown"], [tally("limits"), "within known limits"], [tally("valid"), "valid"]];
  const told = parts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
  return told.length ? told.join(", ") : "no results";
};

// Open the result that an address names, with what the address says is chosen of it.
const open = (views, address) => {
  const [id, ...rest] = address.split("&");
  const view = views.find((each) => each.id === id);
  if (!view) return null;
  view.node.open = true;
  const { selection, timeline } = view.draw();
  TimelineView.current = timeline ?? TimelineView.current;
  selection.ready = false;
  selection.restore(rest.join("&"));
  selection.ready = true;
  return view;
};

const start = () => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const { results } = model;
  const views = results.map(resultOf);
  document.getElementById("page").append(
    h("header.top", null,
      h("p.product", null, "huey-harness"),
      h("h1", null, headline(results)),
      h("p.quiet", null, `${plural(results.length, "result")} of run `, h("span.mono", null, model.run))),
    results.length > 0 ? overviewOf(results) : "",
    ...views.map((view) => view.node));
  const weight = ["invalid", "unknown", "limits", "valid"];
  const first = results.toSorted((a, b) => weight.indexOf(a.standing) - weight.indexOf(b.standing))[0];
  open(views, first ? first.id : "");
  const address = () => location.hash.slice(1);
  if (address()) open(views, address())?.node.scrollIntoView();
  addEventListener("hashchange", () => open(views, address()));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest('a[href^="#"]');
    if (link) open(views, link.getAttribute("href").slice(1))?.node.scrollIntoView();
  });
  document.addEventListener("keydown", (event) => {
    const writing = event.target instanceof Element && event.target.closest("input:not([type=range]), textarea, select");
    if (writing || event.ctrlKey || event.metaKey || event.altKey || !TimelineView.current) return;
    if (event.key !== "n" && event.key !== "p") return;
    event.preventDefault();
    const timeline = TimelineView.current;
    timeline.jump(event.key === "n" ? 1 : -1);
    timeline.node.scrollIntoView({ block: "nearest" });
  });
  document.documentElement.dataset.rendered = String(results.length);
};

start();
