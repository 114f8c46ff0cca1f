'use strict';
// The viewers of the gallery's page. Plain canvas, no library: lines of traced trees and series of
// pictures need none, and the page works from a file, without a network. Texts from files are set
// by textContent alone.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  const MARK = [255, 64, 64];                            // colour of the outline, red
  const FINE = 768;                                      // pixels of a small picture's side, about
  const DEPTHS = 6, HUES = 24;                           // classes of lines that are drawn at once
  const bound = (value, low, high) => Math.min(high, Math.max(low, value));

  function add(parent, tag, kind, text) {
    const made = parent.appendChild(document.createElement(tag));
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function chooser(bar, names, chosen) {
    if (names.length < 2) return;
    const select = add(add(bar, 'label', '', 'Show'), 'select');
    names.forEach((name, i) => { add(select, 'option', '', name).value = i; });
    select.addEventListener('change', () => chosen(Number(select.value)));
  }

  function check(bar, words, on, changed) {
    const label = add(bar, 'label', 'check'), box = add(label, 'input');
    box.type = 'checkbox';
    box.checked = on;
    add(label, 'span', '', words);
    box.addEventListener('change', () => changed(box.checked));
    return box;
  }

  // --- stacks side by side, slice by slice ---

  function picture(uri, ready) {
    const image = new Image();
    image.addEventListener('load', ready);
    image.src = uri;
    return image;
  }

  // The rim of a mask's picture, `fine` times as large, as a canvas that is clear elsewhere.
  function outlined(image, fine) {
    const made = document.createElement('canvas'), pen = made.getContext('2d');
    const w = made.width = image.naturalWidth * fine, h = made.height = image.naturalHeight * fine;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, w, h);
    const pixels = pen.getImageData(0, 0, w, h), on = new Uint8Array(w * h);
    for (let i = 0; i < w * h; i++) on[i] = pixels.data[4 * i] > 127;
    for (let i = 0; i < w * h; i++) {
      const x = i % w, inner = (x === 0 || on[i - 1]) && (x === w - 1 || on[i + 1])
        && (i < w || on[i - w]) && (i >= w * (h - 1) || on[i + w]);
      MARK.forEach((level, k) => { pixels.data[4 * i + k] = level; });
      pixels.data[4 * i + 3] = on[i] && !inner ? 255 : 0;
    }
    pen.putImageData(pixels, 0, 0);
    return made;
  }

  function compare(host, scenes) {
    const frame = add(host, 'div', 'frame'), canvas = add(frame, 'canvas');
    const bar = add(host, 'div', 'bar'), pen = canvas.getContext('2d');
    let scene, at, cuts, handles = [], tags = [], store, rims, fine, marked = true;
    let whole = true;                                    // the last picture, the projection

    chooser(bar, scenes.map(one => one.name), show);
    const label = add(bar, 'label', '', 'Slice '), told = add(label, 'output');
    const slide = add(label, 'input');
    slide.type = 'range';
    slide.min = 0;
    slide.addEventListener('input', () => {
      at = Number(slide.value);
      all.checked = whole = false;
      draw();
    });
    const all = check(bar, 'all slices (projection)', true, on => { whole = on; draw(); });
    if (scenes.some(one => one.outline)) {
      check(bar, scenes[0].layers.length > 2 ? 'outline of the label' : 'outline of the mask', true,
        on => { marked = on; draw(); });
    }

    function show(i) {
      scene = scenes[i];
      const n = scene.layers.length;
      handles.concat(tags).forEach(part => part.remove());
      cuts = scene.layers.slice(1).map((_, k) => (k + 1) / n);
      tags = scene.layers.map(layer => add(frame, 'span', 'tag', layer.title));
      handles = cuts.map((_, k) => handle(k));
      store = scene.layers.map(() => []);
      rims = [];
      fine = Math.max(1, Math.floor(FINE / scene.width));
      canvas.width = scene.width * fine;
      canvas.height = scene.height * fine;
      pen.imageSmoothingEnabled = false;
      frame.style.maxWidth = `calc(82vh * ${scene.width / scene.height})`;
      slide.max = scene.layers[0].slices.length - 2;
      slide.value = at = scene.start;
      draw();
    }

    function handle(k) {
      const made = add(frame, 'div', 'cut');
      made.tabIndex = 0;
      made.setAttribute('role', 'slider');
      made.setAttribute('aria-label', `${scene.layers[k].title} | ${scene.layers[k + 1].title}`);
      made.addEventListener('keydown', event => {
        const way = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
        if (way) { event.preventDefault(); move(k, cuts[k] + way); }
      });
      made.addEventListener('pointerdown', event => {
        made.focus({ preventScroll: true });
        grab(event, made, k);
      });
      return made;
    }

    function move(k, place) {
      cuts[k] = bound(place, k ? cuts[k - 1] : 0, k + 1 < cuts.length ? cuts[k + 1] : 1);
      draw();
    }

    const placeOf = event => {
      const box = canvas.getBoundingClientRect();
      return (event.clientX - box.left) / box.width;
    };

    // Follows the pointer that took a handle, or that pressed the picture, until it is let go.
    function grab(event, part, k) {
      event.preventDefault();
      const follow = moved => move(k, placeOf(moved));
      const end = () => {
        part.removeEventListener('pointermove', follow);
        ['pointerup', 'pointercancel'].forEach(name => part.removeEventListener(name, end));
      };
      try { part.setPointerCapture(event.pointerId); } catch (error) { /* the pointer is gone */ }
      part.addEventListener('pointermove', follow);
      ['pointerup', 'pointercancel'].forEach(name => part.addEventListener(name, end));
    }

    canvas.addEventListener('pointerdown', event => {
      if (!cuts.length) return;
      const place = placeOf(event), far = cuts.map(cut => Math.abs(cut - place));
      const k = far.indexOf(Math.min(...far));
      move(k, place);
      if (event.pointerType === 'mouse') grab(event, canvas, k);
    });

    const shown = () => (whole ? scene.layers[0].slices.length - 1 : at);

    function slice(list, kept, z) {                      // an image; drawn when it is ready
      if (!kept[z]) kept[z] = picture(list[z], () => { if (z === shown()) draw(); });
      return kept[z];
    }

    function rim() {
      const z = shown(), image = slice(scene.outline, rims, z);
      if (!(image instanceof Image)) return image;       // outlined before
      if (!image.complete || !image.naturalWidth) return null;
      rims[z] = outlined(image, fine);
      return rims[z];
    }

    function draw() {
      const edges = [0, ...cuts, 1], w = canvas.width, h = canvas.height;
      const over = marked && scene.outline && rim();
      scene.layers.forEach((layer, k) => {
        const from = Math.round(edges[k] * w), wide = Math.round(edges[k + 1] * w) - from;
        const image = slice(layer.slices, store[k], shown());
        if (wide > 0 && image.complete && image.naturalWidth) {
          pen.drawImage(image, from / fine, 0, wide / fine, h / fine, from, 0, wide, h);
          if (over && layer.marked) pen.drawImage(over, from, 0, wide, h, from, 0, wide, h);
        }
        tags[k].style.left = `${50 * (edges[k] + edges[k + 1])}%`;
        const room = (edges[k + 1] - edges[k]) * canvas.clientWidth;
        tags[k].style.visibility = room < tags[k].offsetWidth ? 'hidden' : 'visible';
        [at - 1, at + 1].filter(z => layer.slices[z]).forEach(
          z => slice(layer.slices, store[k], z));
      });
      handles.forEach((part, k) => {
        part.style.left = `${100 * cuts[k]}%`;
        part.setAttribute('aria-valuenow', Math.round(100 * cuts[k]));
      });
      const first = at * scene.slab + 1, last = Math.min(scene.depth, first + scene.slab - 1);
      told.textContent = whole ? `1\u2013${scene.depth}, projected`
        : `${first === last ? first : `${first}\u2013${last}`} of ${scene.depth}`;
    }

    window.addEventListener('resize', () => draw());
    show(0);
  }

  // --- traced trees in space ---

  function turn(host, forests) {
    const frame = add(host, 'div', 'frame space'), canvas = add(frame, 'canvas');
    const bar = add(host, 'div', 'bar'), pen = canvas.getContext('2d');
    let forest, floor, yaw, pitch, zoom;
    let turning = !still, visible = false, thick = false, below = true;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', 'traced trees; arrow keys turn, + and - zoom');

    chooser(bar, forests.map(one => one.name), show);
    const buttons = add(bar, 'div', 'buttons');
    button('along z', () => look(0, 0));
    button('along y', () => look(0, Math.PI / 2));
    button('+', () => { zoom = bound(zoom * 1.3, 0.4, 30); draw(); });
    button('\u2212', () => { zoom = bound(zoom / 1.3, 0.4, 30); draw(); });
    const spin = button('turn', () => { turning = !turning; draw(); });
    check(bar, 'as thick as traced', false, on => { thick = on; draw(); });
    const ground = check(bar, 'projection of the stack below', true, on => { below = on; draw(); });
    const told = add(bar, 'output');

    function button(words, act) {
      const made = add(buttons, 'button', '', words);
      made.type = 'button';
      made.addEventListener('click', act);
      return made;
    }

    function look(newYaw, newPitch) {
      [yaw, pitch, zoom, turning] = [newYaw, newPitch, 1, false];
      draw();
    }

    function show(i) {
      forest = forests[i];
      const n = forest.parent.length;
      forest.centre = forest.size.map(side => (side - 1) / 2);
      forest.xyz = Float32Array.from(forest.points, value => value * forest.step);
      // neighbouring numbers get colours far apart (the golden angle)
      forest.hue = forest.tree.map(number => Math.floor(((number * 0.381966) % 1) * HUES));
      forest.children = [...Array(n).keys()].filter(node => forest.parent[node] >= 0);
      floor = forest.floor ? picture(forest.floor, () => draw()) : null;
      ground.parentNode.style.display = floor ? '' : 'none';
      const rest = forest.shown < forest.trees ? ` (${forest.shown} shown)` : '';
      const length = forest.unit === 'um' ? `${(forest.length / 1000).toFixed(2)} mm`
        : `${Math.round(forest.length)} ${forest.unit}`;
      const trees = forest.trees === 1 ? '1 tree' : `${forest.trees} trees`;
      told.textContent = `${trees}${rest}, ${length} of cable`;
      [yaw, pitch, zoom] = [0.5, 0.95, 1];
      draw();
    }

    // Orthographic: x, y of the picture and depth, from x, y, z in voxel widths.
    function projector() {
      const [a, b, c, d] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
      const [cx, cy, cz] = forest.centre;
      const [sx, sy, sz] = forest.size, wide = Math.hypot(sx, sy);
      const tall = wide * Math.abs(c) + sz * Math.abs(d);
      const scale = zoom * 0.92 * Math.min(canvas.width / wide, canvas.height / tall);
      const put = (x, y, z) => {
        const across = (x - cx) * a - (y - cy) * b, along = (x - cx) * b + (y - cy) * a;
        return [canvas.width / 2 + scale * across,
          canvas.height / 2 + scale * (along * c + (z - cz) * d), (z - cz) * c - along * d];
      };
      return { put, scale };
    }

    function draw() {
      const dots = Math.min(window.devicePixelRatio || 1, 2);
      canvas.width = Math.round(canvas.clientWidth * dots);
      canvas.height = Math.round(canvas.clientHeight * dots);
      spin.setAttribute('aria-pressed', turning);
      if (!canvas.width || !canvas.height) return;
      const space = projector(), [sx, sy, sz] = forest.size;
      if (below && floor && floor.complete && floor.naturalWidth) {
        const [o, u, v] = [[-0.5, -0.5], [sx - 0.5, -0.5], [-0.5, sy - 0.5]].map(
          ([x, y]) => space.put(x, y, sz - 0.5));
        pen.save();
        pen.globalAlpha = 0.55;
        pen.transform((u[0] - o[0]) / floor.naturalWidth, (u[1] - o[1]) / floor.naturalWidth,
          (v[0] - o[0]) / floor.naturalHeight, (v[1] - o[1]) / floor.naturalHeight, o[0], o[1]);
        pen.drawImage(floor, 0, 0);
        pen.restore();
      }
      box(space, dots);
      lines(space, dots);
      ruler(space.scale, dots);
    }

    function box(space, dots) {
      pen.strokeStyle = 'rgba(190, 200, 215, 0.35)';
      pen.lineWidth = dots;
      pen.beginPath();
      const corner = bits => space.put(...[0, 1, 2].map(
        axis => (bits >> axis) & 1 ? forest.size[axis] - 0.5 : -0.5));
      for (let bits = 0; bits < 8; bits++) {
        for (let axis = 0; axis < 3; axis++) {
          if (!((bits >> axis) & 1)) {
            pen.moveTo(...corner(bits).slice(0, 2));
            pen.lineTo(...corner(bits | (1 << axis)).slice(0, 2));
          }
        }
      }
      pen.stroke();
      pen.fillStyle = 'rgba(220, 226, 235, 0.8)';
      pen.font = `${12 * dots}px system-ui, sans-serif`;
      ['x', 'y', 'z'].forEach((name, axis) => {
        const place = [-0.5, -0.5, -0.5];
        place[axis] = forest.size[axis] * 1.04;
        const [x, y] = space.put(...place);
        pen.fillText(name, x, y);
      });
    }

    // Lines of one depth, colour and width make one path; the far ones are drawn first, and darker.
    function lines(space, dots) {
      const n = forest.parent.length, at = new Float32Array(3 * n), paths = new Map();
      const reach = Math.hypot(...forest.size) / 2;
      const radius = i => forest.radius[i] * forest.step * space.scale;
      for (let i = 0; i < n; i++) {
        at.set(space.put(forest.xyz[3 * i], forest.xyz[3 * i + 1], forest.xyz[3 * i + 2]), 3 * i);
      }
      for (const i of forest.children) {
        const j = forest.parent[i], middle = (at[3 * i + 2] + at[3 * j + 2]) / 2;
        const depth = bound(Math.floor((0.5 - middle / reach / 2) * DEPTHS), 0, DEPTHS - 1);
        const width = thick ? bound(Math.round(2 * radius(i)), 1, 60)
          : Math.round((1 + depth / 3) * dots);
        const key = (depth * HUES + forest.hue[i]) * 64 + width;
        if (!paths.has(key)) paths.set(key, new Path2D());
        paths.get(key).moveTo(at[3 * i], at[3 * i + 1]);
        paths.get(key).lineTo(at[3 * j], at[3 * j + 1]);
      }
      pen.lineCap = pen.lineJoin = 'round';
      for (const key of [...paths.keys()].sort((a, b) => a - b)) {
        const depth = Math.floor(key / 64 / HUES), hue = Math.floor(key / 64) % HUES;
        pen.strokeStyle = `hsl(${hue * 360 / HUES}, 90%, ${34 + 6 * depth}%)`;
        pen.lineWidth = key % 64;
        pen.stroke(paths.get(key));
      }
      pen.strokeStyle = '#fff';
      pen.lineWidth = 1.5 * dots;
      for (const i of forest.soma) {
        pen.beginPath();
        pen.arc(at[3 * i], at[3 * i + 1], Math.max(3, radius(i)), 0, 2 * Math.PI);
        pen.stroke();
      }
    }

    // A round length, about a fifth of the picture's width.
    function ruler(scale, dots) {
      const wanted = canvas.width / 5 / scale * forest.scale;
      const power = 10 ** Math.floor(Math.log10(wanted));
      const length = power * [5, 2, 1].find(step => step * power <= wanted);
      const wide = length / forest.scale * scale, x = 16 * dots, y = canvas.height - 18 * dots;
      pen.strokeStyle = pen.fillStyle = '#fff';
      pen.lineWidth = 2 * dots;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + wide, y);
      pen.stroke();
      pen.font = `${13 * dots}px system-ui, sans-serif`;
      const unit = forest.unit === 'um' ? '\u00b5m' : forest.unit;
      pen.fillText(`${Number(length.toPrecision(2))} ${unit}`, x, y - 7 * dots);
    }

    // One pointer turns, two zoom.
    const pointers = new Map();
    canvas.addEventListener('pointerdown', event => {
      try { canvas.setPointerCapture(event.pointerId); } catch (error) { /* the pointer is gone */ }
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      turning = false;
      draw();
    });
    canvas.addEventListener('pointermove', event => {
      if (!pointers.has(event.pointerId)) return;
      const before = pointers.get(event.pointerId), now = [event.clientX, event.clientY];
      const other = [...pointers].find(([id]) => id !== event.pointerId);
      pointers.set(event.pointerId, now);
      if (other) {
        const apart = place => Math.hypot(place[0] - other[1][0], place[1] - other[1][1]) || 1;
        zoom = bound(zoom * apart(now) / apart(before), 0.4, 30);
      } else {
        yaw -= (now[0] - before[0]) * 0.008;
        pitch = bound(pitch - (now[1] - before[1]) * 0.008, -Math.PI / 2, Math.PI / 2);
      }
      draw();
    });
    ['pointerup', 'pointercancel'].forEach(name => canvas.addEventListener(
      name, event => pointers.delete(event.pointerId)));
    canvas.addEventListener('wheel', event => {          // a page that scrolls is left alone
      if (document.activeElement !== canvas) return;
      event.preventDefault();
      zoom = bound(zoom * 1.001 ** -event.deltaY, 0.4, 30);
      draw();
    }, { passive: false });
    canvas.addEventListener('keydown', event => {
      const act = {
        ArrowLeft: () => { yaw += 0.1; }, ArrowRight: () => { yaw -= 0.1; },
        ArrowUp: () => { pitch = bound(pitch + 0.1, -Math.PI / 2, Math.PI / 2); },
        ArrowDown: () => { pitch = bound(pitch - 0.1, -Math.PI / 2, Math.PI / 2); },
        '+': () => { zoom = bound(zoom * 1.3, 0.4, 30); },
        '-': () => { zoom = bound(zoom / 1.3, 0.4, 30); },
      }[event.key];
      if (act) { event.preventDefault(); turning = false; act(); draw(); }
    });

    let last = 0;
    function tick(now) {
      if (!visible) return;
      if (turning && !pointers.size) { yaw += Math.min(now - last, 50) * 0.0003; draw(); }
      last = now;
      window.requestAnimationFrame(tick);
    }
    new IntersectionObserver(entries => {
      const seen = entries[entries.length - 1].isIntersecting;
      if (seen && !visible) { visible = true; window.requestAnimationFrame(tick); }
      visible = seen;
    }).observe(canvas);
    window.addEventListener('resize', () => draw());
    show(0);
  }

  for (const [name, viewer] of [['drafts', compare], ['stacks', compare], ['forests', turn]]) {
    const host = document.getElementById(`viewer-${name}`);
    if (host && data[name] && data[name].length) viewer(host, data[name]);
  }
  document.querySelectorAll('figure img').forEach(image => image.addEventListener(
    'click', () => image.parentNode.classList.toggle('large')));
})();
