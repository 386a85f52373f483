// Throughput, work outstanding and latency under the timeline's time axis, drawn by uPlot.

const PLOTS = [
  {
    title: "Throughput", unit: "tasks a second", log: false,
    lines: [["acknowledged", "enqueues acknowledged", "op-enqueue", []], ["completed", "tasks completed", "op-complete", [6, 3]]],
  },
  {
    title: "Queue depth and leases", unit: "tasks, as the history tells them", log: false,
    lines: [["outstanding", "acknowledged, not completed", "op-enqueue", []], ["queued", "in the queue", "op-dequeue", [6, 3]], ["held", "in workers' hands", "op-complete", [2, 3]]],
  },
  {
    title: "Latency", unit: "ms from the enqueue's call (or due time) to completion", log: true,
    lines: [["p50", "p50", "op-enqueue", []], ["p95", "p95", "op-complete", [6, 3]], ["p99", "p99", "bad", [2, 3]]],
  },
];

// The latency of each of the commonest priorities.
const byPriority = (series) => ({
  title: "Latency by priority", unit: "p95, ms", log: true,
  lines: series.by_priority.map(([priority], i) => [`priority ${priority}`, `priority ${priority}`, ["op-enqueue", "op-dequeue", "op-complete", "op-requeue"][i], [[], [6, 3], [2, 3], [9, 3, 2, 3]][i]]),
});

// How far replicas were behind; few samples a second, so lines go on over intervals without one.
const behindOf = (series) => ({
  title: "Replication", unit: "bytes behind the primary", log: false, gaps: true,
  lines: series.behind.map(([replica], i) => [`behind ${replica}`, replica, ["op-enqueue", "op-dequeue", "op-complete", "op-requeue"][i], [[], [6, 3], [2, 3], [9, 3, 2, 3]][i]]),
});

const figure = (value) => (value === null || value === undefined ? "–" : integer.format(Number(value.toPrecision(3))));

class Plot {
  constructor(result, axis, plot, sync) {
    Object.assign(this, { result, axis, plot, sync });
    this.holder = h("div.plot");
    const series = { ...result.series, ...Object.fromEntries(result.series.by_priority.map(([priority, values]) => [`priority ${priority}`, values])),
      ...Object.fromEntries(result.series.behind.map(([replica, values]) => [`behind ${replica}`, values])) };
    this.columns = [series.t, ...plot.lines.map(([name]) => (plot.log ? series[name].map((v) => (v === null ? null : Math.max(v, 0.01))) : series[name]))];
    this.node = h("figure", null, h("figcaption", null, h("b", null, plot.title), ` ${plot.unit}`), this.holder);
    this.observer = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.observer.observe(this.holder);
    axis.listen(() => this.follow());
    // Who zooms in the timeline need not wait for plots that are out of sight.
    new IntersectionObserver((entries) => { this.seen = entries.at(-1).isIntersecting; this.follow(); }).observe(this.holder);
    onScheme(() => { this.chart?.destroy(); this.chart = null; this.fit(); });
  }

  follow() {
    if (this.chart && this.seen) this.chart.setScale("x", { min: this.axis.min, max: this.axis.max });
  }

  fit() {
    const width = this.holder.clientWidth;
    if (!width) return;
    if (this.chart) this.chart.setSize({ width, height: 150 });
    else this.chart = new uPlot(this.options(width), this.columns, this.holder);
  }

  options(width) {
    const { axis, plot } = this;
    const line = { stroke: style("--quiet"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 }, font: `11px ${style("--sans")}` };
    return {
      width, height: 150, padding: [8, RIGHT, 0, 0],
      cursor: {
        sync: { key: this.sync, scales: ["x", null] }, points: { size: 5 }, y: false, drag: { x: true, setScale: false },
        bind: { dblclick: () => () => { axis.reset(); return null; } },
      },
      legend: { markers: { width: 2, dash: (u, i) => (u.series[i].dash && u.series[i].dash.length ? "dashed" : "solid") } },
      scales: { x: { time: false, min: axis.min, max: axis.max, auto: false }, y: plot.log ? { distr: 3 } : { range: (u, low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [
        { ...line, values: (u, ticks) => ticks.map((t) => `${Number(t.toPrecision(6))} s`), size: 28, space: 90 },
        { ...line, size: GUTTER, values: (u, ticks) => ticks.map((v) => (v === null ? "" : figure(v))), space: 28 },
      ],
      series: [
        { label: "time", value: (u, v) => (v === null || v === undefined ? "–" : moment(v, 2)) },
        ...plot.lines.map(([, label, color, dash]) => ({
          label, stroke: style(`--${color}`), width: 1.6, dash, spanGaps: plot.gaps === true, value: (u, v) => figure(v),
          points: { show: (u, i, from, to) => to - from < 40, size: 4 },
        })),
      ],
      hooks: {
        drawClear: [(u) => this.bands(u)],
        setSelect: [(u) => {
          const { left, width: wide } = u.select;
          if (wide < 4) return;
          const range = [u.posToVal(left, "x"), u.posToVal(left + wide, "x")];
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          axis.set(...range);
        }],
      },
    };
  }

  bands(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const fault of this.result.faults) {
      const from = u.valToPos(fault.start, "x", true);
      const to = Math.max(u.valToPos(fault.end ?? this.result.timeline.end, "x", true), from + 2);
      ctx.fillStyle = fault.color;
      ctx.globalAlpha = 0.13;
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
      ctx.globalAlpha = 0.8;
      ctx.fillRect(from, bbox.top, 1.5, bbox.height);
    }
    ctx.restore();
  }
}

const plotsOf = (result, axis) => {
  const { series } = result;
  if (!series.t.length) return h("p.quiet", null, "Nothing was recorded to plot.");
  const note = series.source === "complete" ? "" : ` The history has no completions: ${series.source} stands in.`;
  return h("div.plots", null,
    PLOTS.map((plot) => ({ ...plot, lines: plot.lines.filter(([name]) => series[name].some((value) => value !== null)) }))
      .concat(series.by_priority.length ? [byPriority(series)] : [])
      .concat(series.behind.length ? [behindOf(series)] : [])
      .filter((plot) => plot.lines.length)
      .map((plot) => new Plot(result, axis, plot, result.id).node),
    h("p.quiet", null, `Intervals of ${span(series.interval_s)}; drag over one to see that stretch in all of them, in the timeline and in the logs; double click to see all.${note}`));
};
