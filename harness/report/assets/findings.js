// Findings by cluster, each finding with the stories of its tasks.

const findingOf = (result, finding, view) => h("div", null,
  h("p", null, finding.summary),
  finding.task_count > finding.tasks.length && h("p.quiet", null, `${number(finding.task_count)} tasks, among them ${finding.tasks.join(", ")}`),
  finding.faults.length > 0 && h("p.quiet", null, "Under ", finding.faults.map((index) => result.faults.find((fault) => fault.index === index)).filter(Boolean)
    .map((fault) => `fault ${fault.index + 1}: ${fault.kind} of ${fault.struck.join(", ") || fault.target} at ${moment(fault.start, 2)}`).join("; ")),
  finding.evidence.length > 0 && h("p.quiet", null, `Evidence: events ${finding.evidence.map((index) => `#${index}`).join(", ")} of the exported history`),
  finding.stories.map((story) => {
    const times = story.lines.map((line) => line.t);
    return storyOf(story, finding.evidence, times.length > 0 && view.timeline && (() => {
      view.timeline.mark(story.task, Math.min(...times), Math.max(...times));
      view.timeline.node.scrollIntoView({ block: "start" });
      view.timeline.view.focus({ preventScroll: true });
    }));
  }),
  !finding.stories.length && h("p.quiet", null, "Its story is not on this page; the history has it."),
  aroundOf(result, view.timeline, view.selection, finding, view.filter));

const clusterOf = (result, cluster, c, view) => {
  const { selection } = view;
  const panel = h("div.panel", { role: "region", "aria-label": `The chosen finding of ${cluster.anomaly}` });
  const buttons = cluster.findings.map((finding, f) => {
    const tasks = finding.tasks.length ? `task ${finding.tasks.slice(0, 3).join(", ")}${finding.task_count > 3 ? ", …" : ""}` : finding.summary.slice(0, 60);
    const stop = selection.stops.find((each) => each.c === c && each.f === f);
    return button([h("span", null, tasks), finding.t !== null && h("span.quiet", null, moment(finding.t, 2))],
      () => { selection.choose(stop); choose(f); }, { "aria-pressed": "false" });
  });
  const choose = (f) => {
    buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(i === f)));
    panel.replaceChildren(findingOf(result, cluster.findings[f], view));
  };
  const more = cluster.count - cluster.findings.length;
  const node = h("details.cluster", { open: c === 0 },
    h("summary", null,
      h("b", null, `${number(cluster.count)} × ${cluster.anomaly}`),
      cluster.faults && h("span", null, `under ${cluster.faults}`),
      h(cluster.limit ? "span.chip" : "span.chip.bad", null, cluster.limit ? `known limit: ${cluster.limit}` : "no known limit covers it")),
    // A cluster that stands alone has its sentences at the top of the result.
    result.clusters.length > 1 && cluster.sentences.map((sentence) => h("p.sentence", null, sentence)),
    cluster.limit_why && h("p.quiet", null, `Why it is known: ${cluster.limit_why}`),
    h("div.split", null,
      h("div.choices", { tabindex: "0", role: "group", "aria-label": `Findings: ${cluster.anomaly}` }, buttons, more > 0 && h("p.quiet", null, `and ${number(more)} more, in verdict.json`)),
      panel));
  if (buttons.length) choose(0);
  selection.on("choose", () => {
    if (selection.chosen.c !== c) return;
    node.open = true;
    choose(selection.chosen.f);
    buttons[selection.chosen.f].scrollIntoView({ block: "nearest" });
  });
  return node;
};

const findingsOf = (result, view) => {
  if (!result.clusters.length) return h("p.quiet", null, "None.");
  return h("div", null, result.clusters.map((cluster, c) => clusterOf(result, cluster, c, view)));
};
