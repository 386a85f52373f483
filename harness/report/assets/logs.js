// What nodes and agents wrote in the stretch that is in view.

const LOG_ROWS = 300;

const logsOf = (result, axis) => {
  const logs = result.logs.filter((log) => log.lines.length);
  if (!logs.length) return h("p.quiet", null, result.logs.length ? `Nobody wrote anything: ${plural(result.logs.length, "log")}, all empty.` : "No logs were kept.");
  const timed = logs.flatMap((log) => log.lines.map(([t, text]) => ({ t, who: log.name, text }))).filter((line) => line.t !== null).sort((a, b) => a.t - b.t);
  const holder = h("div");
  const words = h("p.quiet", { role: "status" });
  const who = h("select", { "aria-label": "Whose log", onchange: () => draw() }, ["everybody", ...logs.map((log) => log.name)].map((name) => h("option", null, name)));
  const draw = () => {
    const within = timed.filter((line) => line.t >= axis.min && line.t <= axis.max && (who.selectedIndex === 0 || line.who === who.value));
    words.textContent = `${plural(within.length, "line")} from ${moment(axis.min, 2)} to ${moment(Math.min(axis.max, result.timeline.end), 2)}` +
      (within.length > LOG_ROWS ? `; the first ${LOG_ROWS} are shown: zoom in for the others` : "");
    const rows = within.slice(0, LOG_ROWS).map((line) => h("tr", null, h("td.n", null, moment(line.t)), h("td.mono", null, line.who), h("td.mono", null, line.text)));
    holder.replaceChildren(rows.length ? table([["time", true], ["who"], ["line"]], rows, "Log lines in view") : "");
    holder.className = "loglines";
  };
  let waiting = null;
  axis.listen(() => { clearTimeout(waiting); waiting = setTimeout(draw, 100); });
  draw();
  const leftOut = logs.reduce((sum, log) => sum + log.left_out, 0);
  return h("div", null,
    timed.length > 0
      ? [h("div.tools", null, h("label", null, "Log of ", who), words), holder]
      : h("p.quiet", null, "The lines' times are not known on the run's clock; each log is below as it is."),
    leftOut > 0 && h("p.quiet", null, `${plural(leftOut, "line")} left out of this page; those within 2 s of a finding or a fault were kept first. logs/ beside it has all.`),
    logs.map((log) => h("details.small", null, h("summary", null, `${log.name}: ${plural(log.lines.length, "line")}`),
      h("pre", { tabindex: "0" }, log.lines.map(([, text]) => text).join("\n")))));
};
