// Who was primary and who reached whom, at any moment of the run.

const roleWords = (role) => [role.role, role.of && (role.role === "replica" ? `of ${role.of}` : role.of)].filter(Boolean).join(" ");

// Every change of a role: {t, who, what}.
const roleChanges = (result) => {
  const { roles, lanes } = result.timeline;
  return roles.flatMap((role, i) => {
    const before = roles[i - 1]?.lane === role.lane ? roles[i - 1] : null;
    const gap = before && role.start - before.end > 1e-6;
    const from = before ? (gap ? "not heard of" : roleWords(before)) : null;
    const who = lanes[role.lane].name;
    const next = roles[i + 1]?.lane === role.lane ? roles[i + 1] : null;
    const silent = (next ? next.start - role.end > 1e-6 : role.end < result.timeline.end - 1e-6)
      ? [{ t: role.end, who, what: `${roleWords(role)} → not heard of` }] : [];
    return [...(from === null ? [] : [{ t: role.start, who, what: `${from} → ${roleWords(role)}` }]), ...silent];
  }).sort((a, b) => a.t - b.t);
};

const inForce = (result, t) => result.faults.filter((fault) => fault.landed && fault.start <= t && t <= (fault.end ?? Infinity));

const nodesAt = (result, t) => {
  const { roles, lanes } = result.timeline;
  const struck = inForce(result, t);
  return lanes.flatMap(({ name, group }, lane) => {
    if (group !== "node") return [];
    const role = roles.find((each) => each.lane === lane && each.start <= t && t < each.end) || roles.findLast((each) => each.lane === lane && each.end <= t && each.end >= result.timeline.end - 1e-6);
    return [{ name, role, faults: struck.filter((fault) => fault.struck.includes(name)) }];
  });
};

const rolesTable = (result, t) => table([["node"], ["role"], ["fault in force"]], nodesAt(result, t).map(({ name, role, faults }) =>
  h("tr", null, h("th", { scope: "row" }, name),
    h("td", null, role ? h(role.role === "primary" ? "b" : "span", null, role.role === "primary" ? "■ " : role.role === "replica" ? "□ " : "✕ ", roleWords(role)) : "✕ not heard of"),
    h("td", null, faults.map((fault) => `${fault.index + 1} ${fault.kind}`).join(", ")))), "Roles at the chosen moment");

const cutsTable = (result, t) => {
  const links = inForce(result, t).flatMap((fault) => fault.links);
  if (!links.length) return h("p.quiet", null, "No link was cut at that moment.");
  const cut = new Set(links.map(([from, to]) => `${from} ${to}`));
  const names = [...new Set(links.flat())].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const rows = names.map((from) => h("tr", null, h("th", { scope: "row" }, from), names.map((to) =>
    h("td", null, from === to ? "" : cut.has(`${from} ${to}`) ? h("b.no", { title: `${from} → ${to} is cut` }, "✕ cut") : "·"))));
  return table([["from ↓ to →"], ...names.map((name) => [name])], rows, "Links that were cut");
};

const topologyOf = (result, axis) => {
  if (!result.timeline.roles.length) return h("p.quiet", null, "Roles were not sampled: there are no servers, or the run ended before.");
  const panel = h("div.split.even", { role: "status" });
  const label = h("b");
  const slider = h("input.moment", { type: "range", min: "0", max: String(result.timeline.end), step: "0.01", "aria-label": "Moment of the run, in seconds", oninput: () => draw(Number(slider.value)) });
  const draw = (t) => {
    slider.value = String(t);
    slider.setAttribute("aria-valuetext", moment(t, 2));
    label.textContent = moment(t, 2);
    panel.replaceChildren(rolesTable(result, t), cutsTable(result, t));
  };
  const changes = roleChanges(result);
  const marks = [...changes, ...result.faults.map((fault) => ({ t: fault.start, who: "nemesis", what: `${fault.kind} strikes ${fault.struck.join(", ") || fault.target}` }))].sort((a, b) => a.t - b.t);
  // It follows the timeline: what stands in the middle of the window.
  let waiting = null;
  axis.listen(() => {
    clearTimeout(waiting);
    waiting = setTimeout(() => draw(Math.min((axis.min + axis.max) / 2, result.timeline.end)), 100);
  });
  draw(result.faults[0] ? Math.min((result.faults[0].start + (result.faults[0].end ?? result.timeline.end)) / 2, result.timeline.end) : 0);
  return h("div", null,
    h("div.tools", null, h("label.grow", null, "At ", label, slider)),
    panel,
    h("details.small", { open: changes.length > 0 }, h("summary", null, changes.length ? `${plural(changes.length, "change")} of roles, and the faults` : "No role changed; the faults"),
      h("ul.changes", null, marks.slice(0, 200).map((mark) => h("li", null, button(moment(mark.t, 2), () => draw(mark.t), { class: "link" }), " ", h("span.mono", null, mark.who), " ", mark.what))),
      marks.length > 200 && h("p.quiet", null, `and ${number(marks.length - 200)} more, on the timeline`)));
};
