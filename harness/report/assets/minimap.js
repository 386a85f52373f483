// The whole run in one strip: how busy it was, its faults and findings, and the stretch that is in view.

class Minimap {
  constructor(result, axis, colors) {
    Object.assign(this, { result, axis, colors });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    // What is in view is a frame over the picture, which need not be drawn anew for it.
    this.window = h("div.window");
    this.node = h("div.minimap", { title: "The whole run: drag to move what is in view" }, this.canvas, this.window);
    this.busy = this.count();
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.canvas);
    axis.listen(() => this.place());
    onScheme(() => this.draw());
    const move = (event) => {
      const t = ((event.offsetX - GUTTER) / (this.canvas.clientWidth - GUTTER - RIGHT)) * axis.end;
      const half = (axis.max - axis.min) / 2;
      axis.set(t - half, t + half);
    };
    this.canvas.addEventListener("pointerdown", (event) => { this.canvas.setPointerCapture(event.pointerId); move(event); });
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) move(event); });
  }

  // Operations begun in each part of the run, those that are not drawn singly too: in their own parts, where there are any.
  count() {
    const { start, bins, omitted, end } = this.result.timeline;
    const busy = new Array(bins || 200).fill(0);
    for (const us of start) busy[Math.min(busy.length - 1, Math.floor((us / 1e6 / end) * busy.length))] += 1;
    for (const lane of omitted) lane.forEach((count, bin) => { busy[bin] += count; });
    return busy;
  }

  place() {
    const { axis } = this;
    const room = this.canvas.clientWidth - GUTTER - RIGHT;
    this.window.style.left = `${GUTTER + (axis.min / axis.end) * room}px`;
    this.window.style.width = `${Math.max(((axis.max - axis.min) / axis.end) * room, 4)}px`;
  }

  draw() {
    const { canvas, axis, result } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const c = canvas.getContext("2d");
    c.scale(ratio, ratio);
    const room = width - GUTTER - RIGHT;
    const x = (t) => GUTTER + (t / axis.end) * room;
    c.fillStyle = style("--quiet");
    c.font = `11px ${style("--sans")}`;
    c.textBaseline = "middle";
    c.fillText("whole run", 8, height / 2);
    const most = Math.max(1, ...this.busy);
    c.globalAlpha = 0.5;
    this.busy.forEach((count, i) => {
      const tall = (count / most) * (height - 8);
      const from = x((i / this.busy.length) * result.timeline.end);
      c.fillRect(from, height - tall, x(((i + 1) / this.busy.length) * result.timeline.end) - from, tall);
    });
    for (const fault of result.faults) {
      c.globalAlpha = 0.3;
      c.fillStyle = fault.color;
      c.fillRect(x(fault.start), 0, Math.max(x(fault.end ?? axis.end) - x(fault.start), 2), height);
    }
    c.globalAlpha = 1;
    c.fillStyle = style("--bad");
    for (const t of result.timeline.findings) c.fillRect(x(t) - 1, 0, 2, 7);
    this.place();
  }
}
