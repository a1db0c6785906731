// Herald's pages are whole without this: it only lets charts be pointed at, narrowed to some runs, and shown without bands.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const words = document.body.dataset;
  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const at = (drawing, event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    return point;
  };
  const show = (text, event) => {
    tip.textContent = text;
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(left, 8)}px`;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12}px`;
  };
  const hide = () => { tip.hidden = true; };
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  const runsOf = (drawing) => {
    const holder = drawing.dataset.runs && document.getElementById(drawing.dataset.runs);
    return holder ? JSON.parse(holder.textContent) : [];
  };

  for (const drawing of document.querySelectorAll("svg.history[data-n]")) {
    const count = Number(drawing.dataset.n), values = drawing.dataset.v.split("|"), runs = runsOf(drawing);
    const left = Number(drawing.dataset.left), right = Number(drawing.dataset.right), plot = drawing.querySelector(".plot");
    const labels = [...drawing.querySelectorAll(".day")];
    const first = labels.map((label) => [label, Number(label.getAttribute("x"))]);
    const paths = [...plot.querySelectorAll("path[d]")].filter((path) => !path.hasAttribute("transform"));
    const drawn = paths.map((path) => [path, path.getAttribute("d")]);
    const moved = [...plot.querySelectorAll("[transform]")].map((mark) => [mark, mark.getAttribute("transform")]);
    let low = -0.4, high = count - 0.6, began = null;
    const place = (x) => -0.4 + (x - left) / (right - left) * (count - 0.2);
    const to = (x) => left + (place(x) - low) / (high - low) * (right - left);
    const redraw = () => {
      for (const [path, d] of drawn)
        path.setAttribute("d", d.replace(/(-?[\d.]+),(-?[\d.]+)/g, (_, x, y) => `${to(Number(x)).toFixed(1)},${y}`));
      for (const [mark, transform] of moved)
        mark.setAttribute("transform", transform.replace(/\((-?[\d.]+),/, (_, x) => `(${to(Number(x)).toFixed(1)},`));
      for (const [label, x] of first) {
        const now = to(x);
        label.setAttribute("x", now.toFixed(1));
        label.style.display = now < left - 1 || now > right + 1 ? "none" : "";
      }
    };
    const clip = svg("clipPath", { id: `clip-${Math.random().toString(36).slice(2)}` });
    clip.append(svg("rect", { x: left, y: 0, width: right - left, height: drawing.viewBox.baseVal.height }));
    drawing.prepend(clip);
    plot.setAttribute("clip-path", `url(#${clip.id})`);
    const cursor = svg("path", { class: "cursor" }), brush = svg("rect", { class: "brush", y: 8, height: drawing.viewBox.baseVal.height - 34 });
    drawing.append(cursor, brush);
    const back = document.createElement("button");
    back.type = "button";
    back.textContent = words.all || "⟲";
    back.hidden = true;
    back.addEventListener("click", () => { low = -0.4; high = count - 0.6; back.hidden = true; redraw(); });
    const bar = document.createElement("div");
    bar.className = "zooms";
    bar.append(back);
    drawing.after(bar);
    const nearest = (event) => Math.max(0, Math.min(count - 1, Math.round(low + (at(drawing, event).x - left) / (right - left) * (high - low))));
    const point = (index, event) => {
      const run = runs[index] || {};
      const lines = [run.n, run.w, values[index], run.o, ...(run.p || [])].filter(Boolean);
      show(lines.join("\n"), event);
      const x = to(left + (index + 0.4) / (count - 0.2) * (right - left));
      cursor.setAttribute("d", `M${x.toFixed(1)},8V${drawing.viewBox.baseVal.height - 26}`);
    };
    drawing.addEventListener("pointermove", (event) => {
      point(nearest(event), event);
      if (began !== null) {
        const now = at(drawing, event).x;
        brush.setAttribute("x", Math.min(began, now));
        brush.setAttribute("width", Math.abs(now - began));
      }
    });
    drawing.addEventListener("pointerleave", () => { hide(); cursor.removeAttribute("d"); });
    drawing.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType === "mouse") began = at(drawing, event).x; });
    addEventListener("pointerup", (event) => {
      if (began === null) return;
      const ended = at(drawing, event).x, scale = (x) => low + (x - left) / (right - left) * (high - low);
      brush.removeAttribute("width");
      const [from, until] = [scale(Math.min(began, ended)), scale(Math.max(began, ended))];
      began = null;
      if (until - from < 1.5) return;
      low = Math.max(from, -0.4);
      high = Math.min(until, count - 0.6);
      back.hidden = false;
      redraw();
    });
    drawing.tabIndex = 0;
    let chosen = count - 1;
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) {
        if (event.key === "Enter" && runs[chosen] && runs[chosen].h) location.href = runs[chosen].h;
        return;
      }
      event.preventDefault();
      chosen = Math.max(0, Math.min(count - 1, chosen + step));
      const box = drawing.getBoundingClientRect();
      point(chosen, { clientX: box.left + box.width * (to(left + (chosen + 0.4) / (count - 0.2) * (right - left)) / drawing.viewBox.baseVal.width), clientY: box.top + 20 });
    });
    drawing.addEventListener("dblclick", (event) => {
      const run = runs[nearest(event)];
      if (run && run.h) location.href = run.h;
    });
    drawing.addEventListener("dragstart", (event) => event.preventDefault());
  }

  for (const drawing of document.querySelectorAll("svg.heat")) {
    const count = Number(drawing.dataset.n), left = Number(drawing.dataset.left), cell = Number(drawing.dataset.cell);
    const rows = [...drawing.querySelectorAll("text[data-v]")], runs = runsOf(drawing);
    drawing.addEventListener("pointermove", (event) => {
      const { x, y } = at(drawing, event);
      const row = rows[Math.floor(y / cell)], column = Math.floor((x - left) / (drawing.viewBox.baseVal.width - left) * count);
      if (!row || !row.dataset.v || column < 0 || column >= count) return hide();
      const run = runs[column] || {};
      show([row.querySelector("title").textContent, row.dataset.v.split("|")[column], run.n, run.w].filter(Boolean).join("\n"), event);
    });
    drawing.addEventListener("pointerleave", hide);
  }

  for (const box of document.querySelectorAll("input[data-bands]")) {
    box.parentElement.hidden = false;
    box.addEventListener("change", () => document.body.classList.toggle("no-bands", !box.checked));
  }
})();
