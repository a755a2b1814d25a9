'use strict';
// The poses of the page: packed numbers made into arrays, and what is asked of them.

// The bytes of a block of the page; the text is dropped, it is no longer needed.
function takeBytes(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  const text = element.textContent;
  element.remove();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const bytes = new Uint8Array((text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0));
  const piece = 1 << 20; // a multiple of 4, so that each piece is whole
  for (let from = 0, to = 0; from < text.length; from += piece) {
    const part = atob(text.slice(from, from + piece));
    for (let i = 0; i < part.length; i++) bytes[to++] = part.charCodeAt(i);
  }
  return bytes;
}

class Poses {
  constructor() {
    this.facts = JSON.parse(document.getElementById('facts').textContent);
    const [people, joints, hypotheses] = this.facts.shape;
    this.numPoses = people;
    this.numJoints = joints;
    this.numHypotheses = hypotheses;
    this.names = this.facts.keypoints;
    this.times = this.array('times', Float64Array);
    this.pictureTimes = this.array('pictureTimes', Float64Array) || this.times;
    this.starts = this.array('starts', Uint32Array);
    this.tracks = this.array('tracks', Int32Array);
    this.scores = Float32Array.from(this.array('scores', Uint8Array), (value) => value / 255);
    this.points = this.scaled('points');
    this.boxes = this.scaled('boxes');
    this.deviations = this.scaled('deviations');
    this.packed = this.array('hypotheses', Int16Array);
    this.sampled = new Map(); // row -> hypotheses that were sampled since, image pixels
    this.present = this.names.map((name) => !this.facts.absent.includes(name));
    this.numFrames = this.starts.length - 1;
    this.people = this.listPeople();
  }

  array(name, Kind) {
    const bytes = takeBytes(`array-${name}`);
    return bytes && new Kind(bytes.buffer, bytes.byteOffset, bytes.length / Kind.BYTES_PER_ELEMENT);
  }

  scaled(name) {
    const numbers = this.array(name, Int16Array);
    const scale = this.facts.scales[name];
    return numbers && Float32Array.from(numbers, (value) => value * scale);
  }

  // {track, frames} of everybody, the longest in view first.
  listPeople() {
    const frames = new Map();
    for (const track of this.tracks) frames.set(track, (frames.get(track) || 0) + 1);
    return [...frames]
      .map(([track, count]) => ({ track, frames: count }))
      .sort((a, b) => b.frames - a.frames || a.track - b.track);
  }

  // Rows of a frame, of one person or (track === null) of all.
  rows(place, track = null) {
    const found = [];
    for (let row = this.starts[place]; row < this.starts[place + 1]; row++) {
      if (track === null || this.tracks[row] === track) found.push(row);
    }
    return found;
  }

  x(row, joint) {
    return this.points[2 * (row * this.numJoints + joint)];
  }

  y(row, joint) {
    return this.points[2 * (row * this.numJoints + joint) + 1];
  }

  score(row, joint) {
    return this.scores[row * this.numJoints + joint];
  }

  // Standard deviation over the hypotheses, image pixels; axis 0 is x.
  deviation(row, joint, axis) {
    return this.deviations ? this.deviations[2 * (row * this.numJoints + joint) + axis] : 0;
  }

  // Coordinates of each hypothesis of a joint, [[x, y], ...].
  hypotheses(row, joint) {
    const sampled = this.sampled.get(row);
    const values = sampled || this.packed;
    if (!values) return [];
    const scale = sampled ? 1 : this.facts.scales.hypotheses;
    const count = sampled ? sampled.length / (2 * this.numJoints) : this.numHypotheses;
    const first = sampled ? 0 : row * count;
    return Array.from({ length: count }, (_, n) => {
      const at = 2 * ((first + n) * this.numJoints + joint);
      return [values[at] * scale, values[at + 1] * scale];
    });
  }

  // Mean confidence of a pose over the joints that the model has.
  confidence(row) {
    let sum = 0;
    let count = 0;
    for (let joint = 0; joint < this.numJoints; joint++) {
      if (this.present[joint]) {
        sum += this.score(row, joint);
        count++;
      }
    }
    return count ? sum / count : 0;
  }

  // Of every frame the confidence of a person, or the lowest of all; NaN where nobody is.
  confidences(track) {
    const found = new Float32Array(this.numFrames).fill(NaN);
    for (let place = 0; place < this.numFrames; place++) {
      for (const row of this.rows(place, track)) {
        const value = this.confidence(row);
        if (!(found[place] <= value)) found[place] = value;
      }
    }
    return found;
  }

  // Take what was sampled again for a person of a frame; fields as in the JSON of predictions.
  replace(place, person) {
    const [row] = this.rows(place, person.track_id);
    if (row === undefined) return;
    const at = row * this.numJoints;
    this.points.set(person.keypoints.flat(), 2 * at);
    this.scores.set(person.keypoint_scores, at);
    if (!this.deviations) this.deviations = new Float32Array(this.points.length);
    const none = new Float32Array(2 * this.numJoints);
    this.deviations.set(person.keypoint_std ? person.keypoint_std.flat() : none, 2 * at);
    this.sampled.set(row, new Float32Array(person.hypotheses ? person.hypotheses.flat(2) : 0));
  }

  hasHypotheses() {
    return Boolean(this.packed) || this.sampled.size > 0;
  }
}
