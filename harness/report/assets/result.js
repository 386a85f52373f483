// One result: everything known of one scenario on one backend.

const WORK = ["attempted", "acknowledged", "indeterminate", "rejected", "executions", "completed", "reexecuted", "recovered", "refused"];

const countsOf = (result) => {
  const cell = ([name, value, words]) => {
    const wrong = !WORK.includes(name) && value > 0;
    return h(wrong ? "div.count.wrong" : "div.count", { title: words },
      h("dt", null, name.replaceAll("_", " ")),
      h("dd", null, value === null ? "not claimed" : (wrong ? "▲ " : "") + number(value)));
  };
  const [work, trouble] = [true, false].map((which) => result.counts.filter(([name]) => WORK.includes(name) === which));
  return h("div", null,
    h("dl.counts", { "aria-label": "work" }, work.map(cell)),
    h("dl.counts", { "aria-label": "anomalies" }, trouble.map(cell)),
    h("details.small", null, h("summary", null, "What the counts mean"),
      h("dl.meanings", null, result.counts.map(([name, , words]) => [h("dt", null, name.replaceAll("_", " ")), h("dd", null, words)]))));
};

const seen = (yes, proof) => [h(yes ? "b.yes" : "b.no", null, yes ? "✔ yes" : "✘ not seen"), proof && h("div.quiet", null, proof)];

const faultsOf = (result, timeline) => {
  if (!result.faults.length) return h("p.quiet", null, "None were part of the plan.");
  const rows = result.faults.map((fault) => {
    const dot = h("i.dot", { "aria-hidden": "true" });
    dot.style.backgroundColor = fault.color;
    const end = fault.end === null ? "not healed" : moment(fault.end);
    return h("tr", null,
      h("td.n", null, String(fault.index + 1)),
      h("td", null, h("span.whole", null, dot, fault.kind)),
      h("td", null, fault.struck.join(", ") || fault.target, fault.struck.length > 0 && fault.target !== fault.struck.join(", ") && h("div.quiet", null, `aimed at ${fault.target}`)),
      h("td.n", null, button(`${moment(fault.start)} – ${end}`, () => {
        timeline?.axis.reveal(fault.start, fault.end ?? fault.start + 1);
        timeline?.node.scrollIntoView({ block: "start" });
      }, { class: "link", title: "Show on the timeline" })),
      h("td", null, seen(fault.landed, fault.proof)),
      h("td", null, seen(fault.healed, fault.heal_proof)),
      h("td.n", null, number(fault.in_flight)));
  });
  return table([["", true], ["fault"], ["struck"], ["from – to", true], ["landed"], ["healed"], ["in flight", true]], rows, "Faults");
};

const section = (title, ...content) => h("section", null, h("h4", { tabindex: "-1" }, title), ...content);

// The parts of a result in the order in which a reader with a failed run asks for them.
const partsOf = (result, view) => [
  ["Findings", [findingsOf(result, view)]],
  ["Timeline", [view.timeline ? view.timeline.node : h("p.quiet", null, "There is no history to draw.")]],
  ["Over time", [plotsOf(result, view.axis)]],
  ["Faults", [faultsOf(result, view.timeline)]],
  ["Topology", [topologyOf(result, view.axis)]],
  ["Logs", [logsOf(result, view.axis)]],
  ["Promised and observed", [promisedOf(result)]],
  ["Counts", [countsOf(result), result.recovery_ms_max !== null && h("p.quiet", null, `Slowest recovery after a fault: ${span(result.recovery_ms_max / 1000)}`)]],
  ["Environment, plan and downloads", [
    h("dl.facts", null, result.environment.map(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
    result.plan && h("details.small", null, h("summary", null, "plan.json"), h("pre", { tabindex: "0" }, result.plan)),
    downloadsOf(result, view.axis, view.filter)]],
];

const bodyOf = (result) => {
  const axis = new Axis(Math.max(result.timeline.end, result.series.t.at(-1) || 0));
  const selection = new Selection(result, axis);
  const filter = new FilterBox(result, selection);
  const timeline = result.timeline.lanes.length ? new TimelineView(result, axis, selection, filter) : null;
  TimelineView.current ||= timeline;
  const parts = partsOf(result, { axis, selection, filter, timeline }).map(([title, content]) => [title, section(title, ...content)]);
  const node = h("div.body", null,
    result.asks && h("p.asks", null, result.asks),
    h("div.sentences", null, result.sentences.map((sentence) => h("p", null, sentence))),
    result.reasons.length > 0 && result.clusters.length > 0 && h("ul.reasons", null, result.reasons.map((reason) => h("li", null, `unknown: ${reason}`))),
    result.notes.length > 0 && h("ul.reasons", null, result.notes.map((note) => h("li", null, `note: ${note}`))),
    result.replay && h("div.replay", null, result.seed && h("span.quiet", null, "seed ", h("b.seed", null, result.seed)),
      h("code", { tabindex: "0" }, result.replay), copyButton(result.replay)),
    h("nav.parts", { "aria-label": `Parts of ${result.scenario} × ${result.backend}` }, parts.map(([title, part]) =>
      button(title, () => { part.scrollIntoView({ block: "start" }); part.querySelector("h4").focus({ preventScroll: true }); }, { class: "link" }))),
    parts.map(([, part]) => part));
  selection.choose(selection.stops[0]);
  selection.ready = true;
  return { node, selection, timeline };
};

const resultOf = (result) => {
  const node = h(`details.result.${result.standing}`, { id: result.id },
    h("summary", null,
      h("h3", null, h("span", null, result.scenario), h("span.times", null, " × "), h("span", null, result.backend)),
      badge(result.standing),
      h("span.lead", null, result.sentences[0] || "")));
  let drawn = null;
  const draw = () => {
    if (!drawn) {
      drawn = bodyOf(result);
      node.append(drawn.node);
    }
    return drawn;
  };
  // Drawn when it is first opened: a run has dozens of results, and people read two.
  node.addEventListener("toggle", () => {
    if (node.open) draw();
  });
  return { id: result.id, node, draw };
};
