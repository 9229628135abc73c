// SPDX-License-Identifier: MIT
// Draws what is in #data; every text in it was escaped before it came here.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // Okabe and Ito's colours: distinct in every kind of colour vision. Dashes and symbols say it again.
  const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777"];
  const DARK = ["#56B4E9", "#F07030", "#2FC795", "#E09AC0", "#E69F00", "#4A90D9", "#AAAAAA"];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
  const SYMBOLS = { PASS: "circle", FAIL: "x", INCONCLUSIVE: "diamond-open", "": "circle-open" };
  const VALUES = { rangemode: "tozero", exponentformat: "SI", minexponent: 1 };
  // Left alone, plotly offers to send the data to its makers.
  const CONFIG = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const narrow = () => innerWidth < 640; // a phone: names go above the lines, legends below their titles
  const judged = (outcome) => paint({ PASS: "pass", FAIL: "fail", INCONCLUSIVE: "open" }[outcome] || "soft");
  const axis = (more) => ({ gridcolor: paint("rule"), zerolinecolor: paint("soft"), linecolor: paint("rule"), automargin: true, ...more });
  const layout = (more) => ({
    paper_bgcolor: paint("paper"), plot_bgcolor: paint("panel"), font: { family: "system-ui, sans-serif", size: 12, color: paint("ink") },
    hoverlabel: { bgcolor: paint("panel"), bordercolor: paint("rule"), font: { color: paint("ink") } }, margin: { l: 60, r: 20, t: 44, b: 40 }, ...more,
  });
  const draw = (id, traces, shape) => Plotly.react(id, traces, layout({ ...shape, width: document.getElementById(id).clientWidth }), CONFIG);
  const style = (place) => {
    const colours = dark.matches ? DARK : LIGHT;
    return { color: colours[place % colours.length], dash: DASHES[Math.floor(place / colours.length) % DASHES.length], width: 1.5 };
  };
  const armStyle = (recording, place) => (recording.arm ? { ...style(recording.arm === "base" ? 0 : 1), width: 1.2 } : style(place));

  function intervals(block) {
    const { id, unit, rows } = block;
    const places = rows.map((_, place) => rows.length - place);
    const ends = rows.flatMap((row) => [row.low, row.high, row.estimate, row.limit, 0]).filter((value) => value !== null);
    const [least, most] = [Math.min(...ends), Math.max(...ends)];
    const edge = [least - 0.15 * (most - least || 1), most + 0.15 * (most - least || 1)];
    const shapes = [];
    rows.forEach((row, place) => {
      const y = places[place];
      if (row.limit !== null) shapes.push({ type: "line", x0: row.limit, x1: row.limit, y0: y - 0.4, y1: y + 0.4, line: { color: paint("soft"), dash: "dash", width: 1.5 } });
      shapes.push({ type: "line", x0: row.low === null ? edge[0] : row.low, x1: row.high === null ? edge[1] : row.high, y0: y, y1: y,
        line: { color: judged(row.outcome), width: 2.5, dash: row.low === null || row.high === null ? "dot" : "solid" } });
    });
    const points = { type: "scatter", mode: "markers", x: rows.map((row) => row.estimate), y: places, text: rows.map((row) => row.text), hovertemplate: "%{text}<extra></extra>",
      marker: { size: 11, color: rows.map((row) => judged(row.outcome)), symbol: rows.map((row) => SYMBOLS[row.outcome]), line: { width: 1.5 } }, showlegend: false };
    const names = rows.map((row) => row.name), over = narrow();
    const annotations = names.map((text, place) => ({ text, x: 0, xref: "paper", xanchor: "left", y: places[place] + 0.12, yanchor: "bottom", showarrow: false, font: { size: 11 } }));
    draw(id, [points], {
      height: 90 + (over ? 46 : 30) * rows.length, shapes, annotations: over ? annotations : [], ...(over ? { margin: { l: 8, r: 8, t: 30, b: 40 } } : {}),
      xaxis: axis({ title: { text: unit }, range: edge, zeroline: true, fixedrange: over }),
      yaxis: axis({ tickvals: places, ticktext: names, range: [0.4, rows.length + 0.6], showgrid: false, fixedrange: true, showticklabels: !over }),
    });
  }

  function panels(id, parts, when, shapes) {
    // One figure, so that a zoom in time holds for all of it; panels from the top down, each with a legend of its own.
    const over = narrow(), gap = over ? 0.06 : 0.035, height = (1 - gap * (parts.length - 1)) / parts.length;
    const shape = { height: (over ? 230 : 170) * parts.length + 90, margin: over ? { l: 44, r: 8, t: 56, b: 40 } : { l: 70, r: 20, t: 56, b: 40 }, shapes, hovermode: "x", annotations: [] };
    const traces = [];
    parts.forEach((part, place) => {
      const top = 1 - place * (height + gap), number = place ? place + 1 : "", legend = "legend" + number;
      shape["yaxis" + number] = axis({ domain: [Math.max(top - height, 0), top], ...part.axis });
      const beside = { x: 1, xanchor: "right", y: top + 0.004, yanchor: "bottom" }, inside = { x: 0, xanchor: "left", y: top, yanchor: "top" };
      shape[legend] = { orientation: "h", ...(over ? inside : beside), bgcolor: "rgba(0,0,0,0)", font: { size: over ? 10 : 11 } };
      shape.annotations.push({ text: part.title, xref: "paper", yref: "paper", x: 0, xanchor: "left", y: top, yanchor: "bottom", showarrow: false, font: { size: 12, color: paint("soft") } });
      for (const line of part.lines) traces.push({ type: "scatter", mode: "lines", yaxis: "y" + number, legend, ...line });
    });
    shape.xaxis = axis({ ...when, anchor: "y" + (parts.length > 1 ? parts.length : "") });
    draw(id, traces, shape);
  }

  const absolute = (recording, times) => times.map((time) => (recording.begin + time) * 1000);

  function one(recording) {
    const parts = [];
    if (recording.happened.length) {
      const splats = recording.happened.map((found) => found.splat);
      parts.push({ title: "what happened", axis: { type: "category", fixedrange: true }, lines: [{
        mode: "markers", x: absolute(recording, recording.happened.map((found) => found.time)), y: recording.happened.map((found) => found.kind),
        text: recording.happened.map((found) => found.text), hovertemplate: "%{y}: %{text}<extra></extra>", showlegend: false,
        marker: { size: 10, symbol: splats.map((splat) => (splat ? "x" : "triangle-up-open")), color: splats.map((splat) => (splat ? paint("fail") : paint("open"))) } }] });
    }
    for (const panel of data.panels) {
      const lines = panel.lines.filter((line) => recording.columns[line.column]).map((line, place) => ({
        name: line.label, x: absolute(recording, recording.times[line.table]), y: recording.columns[line.column], line: style(place),
        mode: line.table === "barriers" ? "lines+markers" : "lines", marker: { size: 4 }, hovertemplate: "%{y:.5s} " + line.label + "<extra></extra>", showlegend: true }));
      if (lines.length) parts.push({ title: panel.title, axis: { ...VALUES, ...panel.axis }, lines });
    }
    const shapes = recording.happened.filter((found) => found.splat).map((found) => {
      const at = (recording.begin + found.time) * 1000;
      return { type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: paint("fail"), width: 1, dash: "dot" } };
    });
    panels("series", parts, { type: "date", title: { text: "UTC" } }, shapes);
  }

  function all() {
    const parts = [];
    for (const panel of data.panels) for (const line of panel.lines.filter((line) => line.overlaid)) {
      const named = new Set();
      const lines = data.recordings.map((recording, place) => [recording, place]).filter(([recording]) => recording.columns[line.column]).map(([recording, place]) => {
        const name = recording.arm || recording.name, first = !named.has(name) && named.size < 8;
        named.add(name);
        return { name, legendgroup: name, showlegend: first && !parts.length, x: recording.times[line.table].map((time) => time / 60), y: recording.columns[line.column], line: armStyle(recording, place),
          hovertemplate: "%{y:.5s} " + recording.name + "<extra></extra>" };
      });
      if (lines.length) parts.push({ title: line.label + ": " + panel.title, axis: { ...VALUES, ...panel.axis }, lines });
    }
    panels("series", parts, { title: { text: "minutes since the first sample" } }, []);
  }

  function distribution(name) {
    const found = data.distributions[name], named = new Set();
    const traces = found.lines.map((line) => {
      const recording = data.recordings[line.recording], label = recording.arm || recording.name, first = !named.has(label) && named.size < 12;
      named.add(label);
      return { type: "scatter", mode: "lines", name: label, legendgroup: label, showlegend: first, x: line.bounds, y: line.above, line: { ...armStyle(recording, line.recording), shape: "hv" },
        hovertemplate: "%{y:.3~p} above %{x:.3~s}" + found.unit + ", " + recording.name + "<extra></extra>" };
    });
    draw("distribution", traces, {
      height: 380, legend: { orientation: "h", x: 1, xanchor: "right", y: 1, yanchor: "bottom" },
      xaxis: axis({ type: "log", title: { text: found.title }, ticksuffix: found.unit, exponentformat: "SI", minexponent: 1, dtick: 1 }),
      yaxis: axis({ type: "log", title: { text: "share that is above" }, exponentformat: "power", dtick: 1 }),
    });
  }

  const chosen = (id) => document.getElementById(id);
  function show() {
    data.intervals.forEach(intervals);
    if (chosen("recording")) chosen("recording").value === "all" ? all() : one(data.recordings[Number(chosen("recording").value)]);
    if (chosen("duration")) distribution(chosen("duration").value);
    document.documentElement.dataset.spills = document.documentElement.scrollWidth > innerWidth ? "yes" : "no";
    document.documentElement.dataset.drawn = document.querySelectorAll(".js-plotly-plot").length;
  }
  for (const id of ["recording", "duration"]) if (chosen(id)) chosen(id).addEventListener("change", show);
  dark.addEventListener("change", show);
  let wide = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; show(); } });
  show();
})();
