'use strict';
// The page: what is chosen, and who is told when the frame or the choice changes.

(() => {
  const find = (id) => document.getElementById(id);
  const poses = new Poses();
  const facts = poses.facts;
  const frameName = (place) => place + facts.firstFrame;
  const view = {
    track: null,
    joints: new Set(poses.names.keys()),
    layers: {},
    threshold: 0.3,
  };

  // The picture, and the clock that goes with it.
  const [video, stage] = [find('video'), find('stage')];
  const bytes = takeBytes('video-file');
  let clock;
  if (bytes) {
    video.src = URL.createObjectURL(new Blob([bytes], { type: facts.video.kind }));
    clock = new VideoClock(poses.pictureTimes, video);
    video.addEventListener('loadedmetadata', () => shape(video.videoWidth, video.videoHeight));
    video.addEventListener('error', () => note('This browser cannot show the video; the poses are drawn without it.'));
  } else {
    video.hidden = true;
    clock = new TimerClock(poses.times);
  }
  function shape(width, height) {
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.width = `min(100%, calc(72vh * ${width / height}))`;
    overlay.draw(clock.place);
  }

  const overlay = new Overlay(find('overlay'), poses, view);
  const strip = new Strip(find('strip'), poses, (place) => go(place));
  const plots = new Trajectories([find('plot-x'), find('plot-y')], find('plots-note'), poses, view, (place) => go(place));
  let live = null;

  function note(text) {
    const item = document.createElement('li');
    item.textContent = text;
    find('notes').append(item);
  }

  function go(place) {
    if (clock.playing) clock.pause();
    clock.seek(place);
    const slider = find('frame');
    slider.value = clock.target;
  }

  // What belongs to the frame that is shown.
  function shown(place) {
    overlay.draw(place);
    strip.mark(place);
    plots.mark(place);
    if (live) live.place = place;
    const slider = find('frame');
    if (clock.target === place) slider.value = place;
    const time = poses.times[place].toFixed(3);
    slider.setAttribute('aria-valuetext', `frame ${frameName(place)}, ${time} seconds`);
    find('readout').value = `frame ${frameName(place)} of ${frameName(poses.numFrames - 1)}, ${time} s`;
    document.body.dataset.frame = frameName(place);
    if (find('numbers').open) fillNumbers(place);
  }

  function fillNumbers(place) {
    const body = find('rows');
    body.replaceChildren();
    for (const row of poses.rows(place, view.track)) {
      for (const joint of view.joints) {
        if (!poses.present[joint] || !(poses.score(row, joint) > 0)) continue;
        const spread = [0, 1].map((axis) => poses.deviation(row, joint, axis).toFixed(1)).join(', ');
        const cells = [poses.tracks[row], poses.names[joint], poses.x(row, joint).toFixed(1), poses.y(row, joint).toFixed(1),
          poses.score(row, joint).toFixed(2), poses.deviations ? spread : ''];
        const line = body.insertRow();
        cells.forEach((text) => (line.insertCell().textContent = text));
      }
    }
  }

  // What has been chosen has changed.
  function chosen(what) {
    if (what === 'person') {
      strip.update(view.track);
      find('legend').textContent = strip.describe();
    }
    if (what === 'person' || what === 'joints') plots.build();
    overlay.draw(clock.place);
    if (find('numbers').open) fillNumbers(clock.place);
  }

  function fillChoices() {
    const person = find('person');
    person.add(new Option('all', ''));
    for (const { track, frames } of poses.people) {
      person.add(new Option(`${facts.tracked ? '' : 'place '}${track} (${frames} frames)`, track));
    }
    person.addEventListener('change', () => {
      view.track = person.value === '' ? null : Number(person.value);
      chosen('person');
    });
    const boxes = poses.names.map((name, joint) => {
      const label = document.createElement('label');
      const box = document.createElement('input');
      Object.assign(box, { type: 'checkbox', checked: true, id: `joint-${joint}`, disabled: !poses.present[joint] });
      box.addEventListener('change', () => {
        if (box.checked) view.joints.add(joint);
        else view.joints.delete(joint);
        chosen('joints');
      });
      label.append(box, ` ${name}${poses.present[joint] ? '' : ' (absent)'}`);
      find('joint-list').append(label);
      return box;
    });
    const all = (checked) => {
      boxes.forEach((box) => (box.checked = checked));
      view.joints.clear();
      if (checked) poses.names.forEach((_, joint) => view.joints.add(joint));
      chosen('joints');
    };
    find('all-joints').addEventListener('click', () => all(true));
    find('no-joints').addEventListener('click', () => all(false));
    for (const name of ['skeleton', 'spread', 'hypotheses', 'names', 'boxes']) {
      const box = find(`layer-${name}`);
      view.layers[name] = box.checked;
      box.addEventListener('change', () => {
        view.layers[name] = box.checked;
        chosen('layers');
      });
    }
    offerLayers();
    const threshold = find('threshold');
    const take = () => {
      view.threshold = Number(threshold.value);
      find('threshold-value').value = view.threshold.toFixed(2);
      chosen('threshold');
    };
    threshold.addEventListener('input', take);
    take();
  }

  // Layers of what the poses do not have are off, until they have it.
  function offerLayers() {
    const there = { spread: Boolean(poses.deviations), hypotheses: poses.hasHypotheses() };
    for (const [name, is] of Object.entries(there)) {
      const box = find(`layer-${name}`);
      box.disabled = !is;
      box.parentElement.title = is ? '' : 'The predictions have none: infer --hypotheses 8 --save-hypotheses';
    }
  }

  function fillMoments() {
    facts.moments.forEach((moment) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = `frame ${frameName(moment.place)}, ${poses.times[moment.place].toFixed(2)} s: person ${moment.track}, ${moment.reason}`;
      button.addEventListener('click', () => go(moment.place));
      item.append(button);
      find('moments').append(item);
    });
    for (const [from, to, why] of facts.gaps.filter((gap) => gap[2] !== 'nobody').slice(0, 20)) {
      note(`Frames ${frameName(from)} to ${frameName(to)} are gaps: ${why}`);
    }
    if (!facts.moments.length) find('moments-title').textContent = 'Nobody was found';
  }

  let moment = -1;
  const keys = {
    ' ': () => clock.toggle(),
    ArrowLeft: (event) => clock.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => clock.step(event.shiftKey ? 10 : 1),
    Home: () => go(0),
    End: () => go(poses.numFrames - 1),
    u: () => facts.moments.length && go(facts.moments[(moment = (moment + 1) % facts.moments.length)].place),
    p: () => {
      const person = find('person');
      person.selectedIndex = (person.selectedIndex + 1) % person.length;
      person.dispatchEvent(new Event('change'));
    },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
    // Controls that know what to do with a key keep it.
    const own = event.target.closest('input, select, button, summary, textarea');
    const isOwn = own && (own.tagName === 'BUTTON' || own.tagName === 'SUMMARY' ? event.key === ' '
      : own.type === 'checkbox' ? event.key === ' ' : true);
    if (isOwn) return;
    event.preventDefault();
    keys[event.key](event);
  });

  find('play').addEventListener('click', () => clock.toggle());
  find('back').addEventListener('click', () => clock.step(-1));
  find('forward').addEventListener('click', () => clock.step(1));
  find('first').addEventListener('click', () => go(0));
  find('last').addEventListener('click', () => go(poses.numFrames - 1));
  find('speed').addEventListener('change', (event) => (clock.speed = Number(event.target.value)));
  find('frame').addEventListener('input', (event) => go(Number(event.target.value)));
  find('numbers').addEventListener('toggle', () => fillNumbers(clock.place));
  clock.onFrame = shown;
  clock.onState = (playing) => {
    find('play').textContent = playing ? 'Pause' : 'Play';
    find('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  };
  find('frame').max = poses.numFrames - 1;
  find('summary').textContent = `${poses.numFrames} frames, ${poses.numPoses} poses of ${poses.people.length} people, ` +
    `${facts.size.join(' x ')} px, ${poses.times[poses.numFrames - 1].toFixed(2)} s. diffpose_mm ${facts.version}` +
    (facts.video ? (facts.video.copy ? '; the video is a smaller copy.' : '.') : '; without the video.');
  facts.notes.forEach(note);
  fillChoices();
  fillMoments();
  if (facts.live) {
    const elements = { block: find('live'), state: find('live-state') };
    for (const name of ['steps', 'hypotheses']) {
      elements[name] = find(name);
      elements[`${name}Value`] = find(`${name}-value`);
    }
    let waiting = null;
    live = new Live(poses, elements, (places) => {
      offerLayers();
      if (places.includes(clock.place)) chosen('layers');
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        plots.refresh();
        strip.update(view.track);
        find('legend').textContent = strip.describe();
      }, 200);
    });
  }
  shape(...facts.size);
  chosen('person');
  shown(0);
  new ResizeObserver(() => {
    overlay.draw(clock.place);
    strip.paint();
  }).observe(stage);
  document.body.dataset.ready = 'true';
})();
