// Charts: axes, points of trials, lines, and what is near the pointer. All texts are set as text.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 250, LEFT = 58, RIGHT = 14, TOP = 26, BOTTOM = 38;

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function short(value) {
  if (typeof value !== "number") return String(value ?? "");
  const size = Math.abs(value);
  for (const [least, unit, letter] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]])
    if (size >= least && size < 1e12) return +(value / unit).toPrecision(4) + letter;
  if (value !== 0 && (size < 1e-3 || size >= 1e12)) return value.toExponential(1);
  return String(+value.toPrecision(4));
}

// A map from values to pixels; what lies outside is drawn at the edge. `best` is "high" or "low": values at the other
// end that are far from nearly all others are left outside.
function scale(values, start, end, { log = false, best = null } = {}) {
  const sorted = Float64Array.from(values).sort();
  let low = sorted.length ? sorted[0] : 0, high = sorted.length ? sorted[sorted.length - 1] : 1;
  if (best && sorted.length >= 10) {
    const tenth = Math.floor(sorted.length / 10), a = sorted[tenth], b = sorted[sorted.length - 1 - tenth];
    const room = 1.5 * (b - a);
    if (room > 0 && best === "high") low = Math.max(low, a - room);
    if (room > 0 && best === "low") high = Math.min(high, b + room);
  }
  if (!(high - low > 1e-12 * Math.max(Math.abs(low), Math.abs(high)))) {
    const room = Math.abs(low) / 20 || 1;
    [low, high] = [low - room, high + room];
  }
  const isLog = log && low > 0 && high / low >= 20;
  if (isLog) [low, high] = [low / 1.15, high * 1.15];
  else { const room = (high - low) / 25; [low, high] = [low - room, high + room]; }
  const of = isLog ? Math.log10 : (value) => value;
  const a = of(low), b = of(high);
  const map = (value) => start + (of(Math.min(Math.max(value, low), high)) - a) / (b - a) * (end - start);
  map.ticks = (count) => {
    const found = [];
    if (isLog) {
      for (let power = Math.floor(a); power <= b; power++)
        for (const step of b - a > 3 ? [1] : b - a > 1.5 ? [1, 3] : [1, 2, 5]) {
          const value = step * 10 ** power;
          if (value >= low && value <= high) found.push(value);
        }
      return found;
    }
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= raw * 0.999);
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++)
      found.push(+(at * step).toPrecision(12));
    return found;
  };
  return map;
}

// Draws into an element. spec: {label, x: {name, log, best}, y: {...}, series: [{look, points: [[x, y, id], ...]}],
// end, picked, pick(id), tell(id) -> text}. Looks: "dots", "front", "infeasible" are points; "line", "step" are lines.
export function chart(place, spec) {
  place.classList.add("chart");
  place.spec = spec;
  if (!place.watch) {
    place.watch = new ResizeObserver(() => draw(place));
    place.watch.observe(place);
  }
  draw(place);
}

function draw(place) {
  const { spec } = place, width = Math.max(240, place.clientWidth || 400);
  const every = spec.series.flatMap((each) => each.points);
  const x = scale(every.map((each) => each[0]), LEFT, width - RIGHT, spec.x);
  const y = scale(every.map((each) => each[1]), HEIGHT - BOTTOM, TOP, spec.y);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": spec.label });
  for (const value of y.ticks(5)) {
    svg.append(shape("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }));
    svg.append(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of x.ticks(width > 500 ? 8 : 5))
    svg.append(shape("text", { x: x(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, short(value)));
  svg.append(shape("path", { class: "grid", d: `M${LEFT} ${HEIGHT - BOTTOM}H${width - RIGHT}` }));
  svg.append(shape("text", { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, spec.x.name));
  svg.append(shape("text", { class: "name", x: 4, y: 13 }, spec.y.name));
  const spots = [];
  for (const { look, points } of spec.series) {
    if (!points.length) continue;
    const at = points.map((each) => [x(each[0]), y(each[1]), each[2]]);
    let d;
    if (look.startsWith("step")) {
      d = `M${at[0][0].toFixed(1)} ${at[0][1].toFixed(1)}` + at.slice(1).map((each) => `H${each[0].toFixed(1)}V${each[1].toFixed(1)}`).join("");
      if (spec.end !== undefined) d += `H${x(spec.end).toFixed(1)}`;
    } else if (look.startsWith("line")) d = "M" + at.map((each) => `${each[0].toFixed(1)} ${each[1].toFixed(1)}`).join("L");
    else d = at.map((each) => `M${each[0].toFixed(1)} ${each[1].toFixed(1)}h0`).join("");  // one path for all points
    svg.append(shape("path", { class: look, d }));
    for (const each of at) if (each[2] !== undefined) spots.push(each);
  }
  const near = shape("circle", { class: "near", r: 6, visibility: "hidden" });
  const picked = spots.find((each) => each[2] === spec.picked);
  if (picked && spec.picked !== null) svg.append(shape("circle", { class: "picked", r: 7, cx: picked[0], cy: picked[1] }));
  svg.append(near);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const nearest = (event) => {
    const box = svg.getBoundingClientRect(), factor = width / box.width;
    const px = (event.clientX - box.left) * factor, py = (event.clientY - box.top) * factor;
    let best = null, least = 24 ** 2;
    for (const each of spots) {
      const far = (each[0] - px) ** 2 + (each[1] - py) ** 2;
      if (far <= least) { least = far; best = each; }
    }
    return best;
  };
  const hide = () => { tip.hidden = true; near.setAttribute("visibility", "hidden"); svg.classList.remove("pickable"); };
  svg.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    if (!found) return hide();
    near.setAttribute("cx", found[0]);
    near.setAttribute("cy", found[1]);
    near.setAttribute("visibility", "visible");
    svg.classList.toggle("pickable", Boolean(spec.pick));
    tip.textContent = spec.tell ? spec.tell(found[2]) : "";
    tip.hidden = !tip.textContent;
    const factor = svg.getBoundingClientRect().width / width;
    tip.style.top = `${found[1] * factor + 12}px`;
    const isRight = found[0] > width / 2;
    tip.style.left = isRight ? "" : `${found[0] * factor + 12}px`;
    tip.style.right = isRight ? `${(width - found[0]) * factor + 12}px` : "";
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found && spec.pick) spec.pick(found[2]);
  });
  place.replaceChildren(svg, tip);
}
