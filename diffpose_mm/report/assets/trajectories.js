'use strict';
// Joints over time with a band of one standard deviation, drawn by uPlot, under a moving cursor.

const USUAL_JOINTS = ['nose', 'left_wrist', 'right_wrist', 'left_ankle', 'right_ankle'];
const MOST_JOINTS = 8; // lines that can be told from each other

class Trajectories {
  // places: elements for x and y; view: what is chosen; onSeek(place).
  constructor(places, note, poses, view, onSeek) {
    Object.assign(this, { places, note, poses, view, onSeek });
    this.plots = [];
    this.place = 0;
    places.forEach((element) => element.classList.add('plot'));
    new ResizeObserver(() => this.fit()).observe(places[0]);
  }

  // Joints that are plotted: those chosen, of all of them the usual ones.
  chosen() {
    const { poses, view } = this;
    const joints = poses.names.map((_, joint) => joint).filter((joint) => view.joints.has(joint) && poses.present[joint]);
    if (joints.length <= MOST_JOINTS) return joints;
    const usual = joints.filter((joint) => USUAL_JOINTS.includes(poses.names[joint]));
    return usual.length ? usual : joints.slice(0, MOST_JOINTS);
  }

  // Columns for uPlot: times, and of each joint the middle, and with spread both edges.
  columns(axis, joints, track) {
    const { poses } = this;
    const count = poses.numFrames;
    const width = poses.deviations ? 3 : 1;
    const columns = joints.flatMap(() => Array.from({ length: width }, () => new Array(count).fill(null)));
    for (let place = 0; place < count; place++) {
      const [row] = poses.rows(place, track);
      if (row === undefined) continue;
      joints.forEach((joint, at) => {
        if (!(poses.score(row, joint) > 0)) return;
        const value = axis ? poses.y(row, joint) : poses.x(row, joint);
        columns[width * at][place] = value;
        if (width === 1) return;
        const deviation = poses.deviation(row, joint, axis);
        columns[width * at + 1][place] = value - deviation;
        columns[width * at + 2][place] = value + deviation;
      });
    }
    return [poses.times, ...columns];
  }

  person() {
    const { poses, view } = this;
    return view.track !== null || !poses.people.length ? view.track : poses.people[0].track;
  }

  build() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
    const joints = this.chosen();
    const track = this.person();
    const names = joints.map((joint) => this.poses.names[joint]).join(', ');
    this.note.textContent = track === null || !joints.length
      ? 'Nothing to plot: choose a person and joints.'
      : `Person ${track}: ${names}. Image pixels over seconds` +
        (this.poses.deviations ? '; bands are one standard deviation of the hypotheses.' : '.') +
        ' Click to go there, drag to zoom, double click to see all.';
    if (track === null || !joints.length) return;
    this.plots = [0, 1].map((axis) => this.plot(axis, joints, track));
    this.mark(this.place);
  }

  plot(axis, joints, track) {
    const style = getComputedStyle(document.body);
    const line = style.getPropertyValue('--line');
    const ink = { stroke: style.color, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const width = this.poses.deviations ? 3 : 1;
    const series = joints.flatMap((joint, at) => {
      const color = JOINT_COLORS[at % JOINT_COLORS.length];
      const middle = { label: this.poses.names[joint], stroke: color, width: 1.5, points: { show: false },
        value: (_, value) => (value === null ? '' : value.toFixed(1)) };
      const edge = { stroke: 'transparent', width: 0, points: { show: false } };
      return width === 1 ? [middle] : [middle, edge, edge].map((one) => ({ ...one }));
    });
    const bands = width === 1 ? [] : joints.map((_, at) => ({
      series: [3 * at + 3, 3 * at + 2],
      fill: JOINT_COLORS[at % JOINT_COLORS.length] + '40',
    }));
    const element = this.places[axis];
    const options = {
      width: Math.max(element.clientWidth - 2, 200),
      height: 220,
      scales: { x: { time: false }, y: axis ? { dir: -1 } : {} },
      axes: [
        { ...ink, label: 'time (s)', labelSize: 20, size: 36 },
        { ...ink, label: axis ? 'y (px, down)' : 'x (px)', labelSize: 20, size: 52 },
      ],
      series: [{ label: 'time', value: (_, value) => (value === null ? '' : `${value.toFixed(3)} s`) }, ...series],
      bands,
      cursor: { sync: { key: 'time' }, drag: { x: true, y: false }, focus: { prox: 16 } },
      legend: { show: true },
      hooks: { setScale: [() => this.mark(this.place)], ready: [(plot) => this.listen(plot)] },
    };
    const plot = new uPlot(options, this.columns(axis, joints, track), element);
    // Edges of bands have no names of their own in the legend.
    element.querySelectorAll('.u-series').forEach((row, at) => {
      if (at > 0 && (at - 1) % width) row.hidden = row.style.display = 'none';
    });
    return plot;
  }

  listen(plot) {
    const now = document.createElement('div');
    now.className = 'now';
    plot.over.append(now);
    plot.now = now;
    let from = null;
    plot.over.addEventListener('pointerdown', (event) => (from = event.clientX));
    plot.over.addEventListener('pointerup', (event) => {
      if (from === null || Math.abs(event.clientX - from) > 4) return; // a zoom
      const left = event.clientX - plot.over.getBoundingClientRect().left;
      this.onSeek(nearestPlace(this.poses.times, plot.posToVal(left, 'x')));
    });
  }

  // Move the cursor to a frame.
  mark(place) {
    this.place = place;
    const time = this.poses.times[place];
    for (const plot of this.plots) {
      if (!plot.now) continue;
      const { min, max } = plot.scales.x;
      plot.now.hidden = !(time >= min && time <= max);
      plot.now.style.left = `${plot.valToPos(time, 'x')}px`;
    }
  }

  fit() {
    this.plots.forEach((plot, axis) => {
      const width = Math.max(this.places[axis].clientWidth - 2, 200);
      if (width !== plot.width) plot.setSize({ width, height: 220 });
    });
    this.mark(this.place);
  }

  // Take values that have changed; the zoom stays.
  refresh() {
    const [joints, track] = [this.chosen(), this.person()];
    const wanted = joints.length * (this.poses.deviations ? 3 : 1) + 1;
    if (!this.plots.length || this.plots[0].series.length !== wanted) this.build();
    else this.plots.forEach((plot, axis) => plot.setData(this.columns(axis, joints, track), false));
  }
}
