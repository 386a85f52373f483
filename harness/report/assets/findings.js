// Findings by cluster, each finding with the stories of its tasks.

const GLYPHS = { invoke: ["○", "called"], ok: ["●", "ok"], fail: ["✕", "failed"], info: ["?", "unknown"], fault: ["▲", "fault"] };

const storyOf = (story, evidence, timeline) => {
  const times = story.lines.map((line) => line.t);
  const show = button("Show on the timeline", () => {
    timeline.mark(story.task, Math.min(...times), Math.max(...times));
    timeline.node.scrollIntoView({ block: "start" });
    timeline.view.focus({ preventScroll: true });
  });
  const half = Math.ceil(story.lines.length / 2);
  const rows = story.lines.map((line) => h(`tr.how-${line.how}${evidence.includes(line.index) ? ".evidence" : ""}`, null,
    h("td.n", null, line.index === null ? "" : `#${line.index}`),
    h("td.n", null, moment(line.t)),
    h("td.mono", null, line.process),
    h("td", null, h("span.glyph", { "aria-hidden": "true" }, (GLYPHS[line.how] || ["·"])[0]), " ", line.what)));
  if (story.cut) rows.splice(half, 0, h("tr", null, h("td.quiet", { colspan: "4" }, `… ${plural(story.cut, "event")} left out …`)));
  return h("div.story", null,
    h("div.bar", null, h("h5", null, `The story of task ${story.task}`), times.length > 0 && timeline && show),
    h("table", null, h("thead.hidden", null, h("tr", null, ["index", "time", "process", "event"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, rows)),
    h("p.place", null, h("b", null, "Last known: "), story.place));
};

const findingOf = (finding, timeline) => h("div", null,
  h("p", null, finding.summary),
  finding.task_count > finding.tasks.length && h("p.quiet", null, `${number(finding.task_count)} tasks, among them ${finding.tasks.join(", ")}`),
  finding.evidence.length > 0 && h("p.quiet", null, `Evidence: events ${finding.evidence.map((index) => `#${index}`).join(", ")} of the exported history`),
  finding.stories.map((story) => storyOf(story, finding.evidence, timeline)),
  !finding.stories.length && h("p.quiet", null, "Its story is not on this page; the history has it."));

const clusterOf = (cluster, open, alone, timeline) => {
  const panel = h("div.panel", { role: "region", "aria-label": "The chosen finding" });
  const buttons = cluster.findings.map((finding) => {
    const tasks = finding.tasks.length ? `task ${finding.tasks.slice(0, 3).join(", ")}${finding.task_count > 3 ? ", …" : ""}` : finding.summary.slice(0, 60);
    const choice = button([h("span", null, tasks), finding.t !== null && h("span.quiet", null, moment(finding.t, 2))], () => choose(choice, finding), { "aria-pressed": "false" });
    return choice;
  });
  const choose = (choice, finding) => {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === choice)));
    panel.replaceChildren(findingOf(finding, timeline));
  };
  const more = cluster.count - cluster.findings.length;
  const node = h("details.cluster", { open },
    h("summary", null,
      h("b", null, `${number(cluster.count)} × ${cluster.anomaly}`),
      cluster.faults && h("span", null, `under ${cluster.faults}`),
      h(cluster.limit ? "span.chip" : "span.chip.bad", null, cluster.limit ? `known limit: ${cluster.limit}` : "no known limit covers it")),
    // A cluster that stands alone has its sentences at the top of the result.
    !alone && cluster.sentences.map((sentence) => h("p.sentence", null, sentence)),
    cluster.limit_why && h("p.quiet", null, `Why it is known: ${cluster.limit_why}`),
    h("div.split", null,
      h("div.choices", null, buttons, more > 0 && h("p.quiet", null, `and ${number(more)} more, in verdict.json`)),
      panel));
  if (buttons.length) choose(buttons[0], cluster.findings[0]);
  return node;
};

const findingsOf = (result, timeline) => {
  if (!result.clusters.length) return h("p.quiet", null, "None.");
  return h("div", null, result.clusters.map((cluster, i) => clusterOf(cluster, i === 0, result.clusters.length === 1, timeline)));
};
