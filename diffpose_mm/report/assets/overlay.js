'use strict';
// Skeletons, spread and hypotheses of a frame, drawn over its picture.

const PERSON_COLORS = ['#4cc9f0', '#ffb703', '#80ed99', '#f77fbe', '#c8b6ff', '#ff7b54', '#d9ed92', '#9bf6ff'];
const JOINT_COLORS = ['#1f77d0', '#d9601a', '#1f9d55', '#b83280', '#7048c8', '#8a6d00', '#008a8a', '#c02f2f'];

function personColor(poses, track) {
  const place = poses.people.findIndex((person) => person.track === track);
  return PERSON_COLORS[Math.max(place, 0) % PERSON_COLORS.length];
}

class Overlay {
  constructor(canvas, poses, view) {
    this.canvas = canvas;
    this.poses = poses;
    this.view = view; // track, joints (a Set), layers, threshold
    this.pen = canvas.getContext('2d');
  }

  // Adapt to the size on the screen, in its own pixels.
  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  draw(place) {
    this.resize();
    const { pen, canvas, poses, view } = this;
    const [width, height] = poses.facts.size;
    this.scale = [canvas.width / width, canvas.height / height];
    this.unit = Math.max(canvas.width / 640, window.devicePixelRatio || 1);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (const row of poses.rows(place, view.track)) this.drawPerson(row);
  }

  isDrawn(row, joint) {
    const { poses, view } = this;
    return view.joints.has(joint) && poses.present[joint] && poses.score(row, joint) > 0 &&
      poses.score(row, joint) >= view.threshold;
  }

  drawPerson(row) {
    const { pen, poses, view, unit } = this;
    const [sx, sy] = this.scale;
    const color = personColor(poses, poses.tracks[row]);
    if (view.layers.boxes) {
      const [x1, y1, x2, y2] = poses.boxes.subarray(4 * row, 4 * row + 4);
      pen.strokeStyle = color;
      pen.lineWidth = unit;
      pen.strokeRect(x1 * sx, y1 * sy, (x2 - x1) * sx, (y2 - y1) * sy);
    }
    if (view.layers.skeleton) this.drawBones(row, color);
    for (let joint = 0; joint < poses.numJoints; joint++) {
      if (!this.isDrawn(row, joint)) continue;
      if (view.layers.hypotheses) this.drawHypotheses(row, joint, color);
      if (view.layers.spread) this.drawSpread(row, joint, color);
      this.drawJoint(row, joint, color);
    }
  }

  // A line of a colour with a dark edge, to be seen on any picture.
  stroke(path, color, width) {
    const { pen } = this;
    pen.strokeStyle = 'rgba(0, 0, 0, 0.6)';
    pen.lineWidth = width + 1.5 * this.unit;
    pen.stroke(path);
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.stroke(path);
  }

  drawBones(row, color) {
    const { poses } = this;
    const [sx, sy] = this.scale;
    const path = new Path2D();
    for (const [a, b] of poses.facts.skeleton) {
      if (!this.isDrawn(row, a) || !this.isDrawn(row, b)) continue;
      path.moveTo(poses.x(row, a) * sx, poses.y(row, a) * sy);
      path.lineTo(poses.x(row, b) * sx, poses.y(row, b) * sy);
    }
    this.stroke(path, color, 2 * this.unit);
  }

  drawHypotheses(row, joint, color) {
    const { pen, unit } = this;
    const [sx, sy] = this.scale;
    pen.fillStyle = color;
    pen.globalAlpha = 0.75;
    for (const [x, y] of this.poses.hypotheses(row, joint)) {
      pen.beginPath();
      pen.arc(x * sx, y * sy, 1.2 * unit, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  // One standard deviation along x and y.
  drawSpread(row, joint, color) {
    const { pen, poses, unit } = this;
    const [sx, sy] = this.scale;
    const dx = poses.deviation(row, joint, 0) * sx;
    const dy = poses.deviation(row, joint, 1) * sy;
    if (!(dx > 0 || dy > 0)) return;
    pen.beginPath();
    pen.ellipse(poses.x(row, joint) * sx, poses.y(row, joint) * sy, dx, dy, 0, 0, 2 * Math.PI);
    pen.fillStyle = color;
    pen.globalAlpha = 0.3;
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = color;
    pen.lineWidth = unit;
    pen.stroke();
  }

  drawJoint(row, joint, color) {
    const { pen, poses, view, unit } = this;
    const [sx, sy] = this.scale;
    const [x, y] = [poses.x(row, joint) * sx, poses.y(row, joint) * sy];
    const path = new Path2D();
    path.arc(x, y, 2.5 * unit, 0, 2 * Math.PI);
    pen.fillStyle = color;
    pen.fill(path);
    pen.strokeStyle = '#000';
    pen.lineWidth = 0.8 * unit;
    pen.stroke(path);
    if (!view.layers.names) return;
    pen.font = `${Math.max(11 * (window.devicePixelRatio || 1), 9 * unit)}px system-ui, sans-serif`;
    pen.lineWidth = 3 * unit;
    pen.strokeStyle = 'rgba(0, 0, 0, 0.7)';
    pen.strokeText(poses.names[joint], x + 5 * unit, y - 3 * unit);
    pen.fillStyle = '#fff';
    pen.fillText(poses.names[joint], x + 5 * unit, y - 3 * unit);
  }
}
