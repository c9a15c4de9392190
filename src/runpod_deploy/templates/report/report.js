"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const W = 1000;

  // All text goes in as text nodes: nothing of a log or a file name is ever read as HTML.
  const add = (node, children) => {
    for (const child of children.flat(3)) {
      if (child !== null && child !== undefined && child !== false) {
        node.append(child instanceof Node ? child : String(child));
      }
    }
    return node;
  };
  const el = (name, attrs, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attrs || {})) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    return add(node, children);
  };
  const svg = (name, attrs, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attrs || {})) if (value !== null) node.setAttribute(key, value);
    return add(node, children);
  };

  const known = (value) => value !== null && value !== undefined && value !== "";
  const usd = (v) => (!known(v) ? "unknown" : "$" + (v === 0 || v >= 0.095 ? v.toFixed(2) : v.toFixed(4)));
  const bytes = (v) => {
    if (!known(v)) return "";
    if (v < 1000) return `${Math.round(v)} B`;
    for (const unit of ["kB", "MB", "GB", "TB"]) {
      v /= 1000;
      if (v < 999.5 || unit === "TB") return `${v < 9.95 ? v.toFixed(1) : v.toFixed(0)} ${unit}`;
    }
    return "";
  };
  // Nothing that is measured or paid comes near it; what is beyond was not written by a sampler.
  const plausible = (v) => Number.isFinite(v) && Math.abs(v) < 1e15;
  const two = (n) => String(n).padStart(2, "0");
  const span = (s) => {
    if (!known(s)) return "unknown";
    if (s < 9.95) return `${s.toFixed(1)}s`;
    s = Math.round(s);
    if (s < 60) return `${s}s`;
    const minutes = Math.floor(s / 60);
    return minutes < 60 ? `${minutes}m ${two(s % 60)}s` : `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  };
  const short = (s) => span(s).replace(".0s", "s").replace(/ 00[sm]$/, "");
  const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const utc = (t) => (known(t) ? new Date(t * 1000).toISOString().slice(0, 19).replace("T", " ") : "");
  const section = (title, ...body) => el("section", {}, el("h2", {}, title), body);
  const words = (text) => String(text).replaceAll("_", " ");
  const tone = (state) => (state === "SUCCEEDED" ? "good" : ["FAILED", "LEAKED", "UNKNOWN"].includes(state) ? "bad" : "warn");
  const tile = (value, label, extra) => el("div", { class: "tile" }, el("b", { class: extra }, value), el("span", {}, label));
  const list = (pairs) => el("dl", {}, pairs.filter(([, v]) => known(v)).map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));

  // --- charts -------------------------------------------------------------------------------
  const nice = (limit) => {
    const base = 10 ** Math.floor(Math.log10(limit || 1));
    return [1, 2, 4, 8, 10].map((step) => step * base).find((step) => step >= limit) || limit;
  };
  const QUARTERS = [0, 0.25, 0.5, 0.75, 1];
  // The amounts on an axis have as many digits as it takes to tell them apart, all of them the same.
  const amounts = (top) => {
    const digits = [2, 3, 4, 5, 6, 7, 8].find((one) => Math.abs(Number((top / 4).toFixed(one)) - top / 4) < top * 1e-6) || 9;
    return (v) => "$" + v.toFixed(digits);
  };
  const width = (labels) => Math.max(62, 16 + 6.4 * Math.max(...labels.map((one) => one.length)));
  const niceTime = (limit) => [4, 20, 60, 120, 240, 600, 1200, 2400, 3600, 7200, 14400, 28800, 57600, 86400].find((step) => step >= limit) || Math.ceil(limit / 86400) * 86400;
  const timeTicks = (from, to) => {
    const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 604800];
    const each = steps.find((step) => (to - from) / step <= 8) || Math.ceil((to - from) / 8);
    return Array.from({ length: Math.floor((to - from) / each) + 1 }, (_, i) => i * each);
  };

  const timeline = (range, height, labelWidth) => {
    const [from, to] = range;
    const left = labelWidth, right = 12;
    const x = (t) => left + ((t - from) / Math.max(to - from, 1e-9)) * (W - left - right);
    const axis = (base) => timeTicks(from, to).map((tick) => [
      svg("line", { class: "axis", x1: x(from + tick), x2: x(from + tick), y1: 4, y2: base }),
      svg("text", { x: x(from + tick), y: base + 15, "text-anchor": "middle" }, short(tick)),
    ]);
    return { x, axis, frame: (...inside) => svg("svg", { viewBox: `0 0 ${W} ${height}`, role: "img" }, inside) };
  };

  // Thousands of marks in a second are one line: more would be a bar that hides what it marks.
  const apart = (marks, x) => {
    let last = -Infinity;
    return [...marks].sort((a, b) => a.t - b.t).filter((mark) => x(mark.t) - last >= 4 && ((last = x(mark.t)), true));
  };

  const lineChart = ({ title, series: given, range, marks, format, scale, least, max, cap: limit }) => {
    const height = 170, base = 140;
    const cap = plausible(limit) ? limit : null;
    const series = given.map((one) => ({ ...one, y: one.y.map((v) => (plausible(v) ? v : null)) }));
    const values = series.flatMap((one) => one.y).filter(known);
    if (!values.length) return null;
    const top = max || nice(values.reduce((most, v) => Math.max(most, Math.abs(v)), known(cap) ? cap * 1.05 : least || 0) || 1);
    const onAxis = scale ? scale(top) : format;
    const left = width(QUARTERS.map((part) => onAxis(top * part)));
    const line = timeline(range, height, left);
    const y = (v) => base - (Math.min(Math.max(v, 0), top) / top) * (base - 12);
    const grid = QUARTERS.map((part) => [
      svg("line", { class: "axis", x1: left, x2: W - 12, y1: y(top * part), y2: y(top * part) }),
      svg("text", { x: left - 8, y: y(top * part) + 4, "text-anchor": "end" }, onAxis(top * part)),
    ]);
    const paths = series.map((one, i) => {
      let pen = "M", d = "";
      const alone = [];
      one.t.forEach((t, k) => {
        if (!known(one.y[k])) { pen = "M"; return; }
        d += `${pen}${line.x(t).toFixed(1)} ${y(one.y[k]).toFixed(1)}`;
        // No line goes to or from a sample without neighbours: it is a point.
        if (pen === "M" && !known(one.y[k + 1])) alone.push(svg("circle", { class: `f${i % 8}`, cx: line.x(t), cy: y(one.y[k]), r: 3 }));
        pen = "L";
      });
      return [svg("path", { class: `s${i % 8}`, d }, svg("title", {}, one.name)), ...alone];
    });
    const stops = apart(marks || [], line.x).map((mark) => svg("line", { class: "mark", x1: line.x(mark.t), x2: line.x(mark.t), y1: 4, y2: base }, svg("title", {}, mark.name)));
    const ceiling = known(cap) ? [svg("line", { class: "cap", x1: left, x2: W - 12, y1: y(cap), y2: y(cap) }), svg("text", { x: W - 14, y: y(cap) - 4, "text-anchor": "end" }, `cap ${format(cap)}`)] : [];
    const cross = svg("line", { class: "cross", x1: left, x2: left, y1: 4, y2: base, visibility: "hidden" });
    const readings = series.map((one, i) => {
      const value = el("span", {}, "");
      const swatch = svg("svg", { class: "dot", viewBox: "0 0 10 10", width: 10, height: 10 }, svg("rect", { class: `f${i % 8}`, width: 10, height: 10, rx: 2 }));
      return { one, value, node: el("span", {}, swatch, one.name, ": ", value) };
    });
    const when = el("span", {}, "");
    const read = (at) => {
      for (const { one, value } of readings) {
        let best = -1;
        one.t.forEach((t, k) => { if (known(one.y[k]) && (best < 0 || Math.abs(t - at) < Math.abs(one.t[best] - at))) best = k; });
        value.textContent = best < 0 ? "" : format(one.y[best]);
      }
      when.textContent = span(at - range[0]);
    };
    const picture = line.frame(line.axis(base), grid, stops, ceiling, paths, cross);
    picture.setAttribute("aria-label", title);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const at = range[0] + (((event.clientX - box.left) / box.width) * W - left) / (W - left - 12) * (range[1] - range[0]);
      const inside = Math.min(Math.max(at, range[0]), range[1]);
      cross.setAttribute("x1", line.x(inside));
      cross.setAttribute("x2", line.x(inside));
      cross.setAttribute("visibility", "visible");
      read(inside);
    });
    picture.addEventListener("pointerleave", () => {
      cross.setAttribute("visibility", "hidden");
      read(range[1]);
    });
    read(range[1]);
    return el("div", { class: "chart" }, el("h3", {}, title, readings.map((one) => one.node), when), picture);
  };

  const bars = (rows, range) => {
    const each = 24, base = rows.length * each + 8;
    const line = timeline(range, base + 22, 150);
    const drawn = rows.map((row, i) => {
      const start = line.x(row.start), end = Math.max(line.x(known(row.end) ? row.end : range[1]), start + 2);
      const color = { completed: "fgood", failed: "fbad", started: "fwarn" }[row.state] || "f0";
      const label = known(row.end) ? span(row.end - row.start) : "not ended";
      const outside = end + 70 < W, inside = !outside && end - start > 80;
      const at = outside ? [end + 6, "start"] : inside ? [end - 6, "end"] : [start - 6, "end"];
      return svg("g", {},
        svg("text", { class: "onbar", x: 142, y: i * each + 20, "text-anchor": "end" }, row.name.length > 22 ? row.name.slice(0, 21) + "…" : row.name),
        svg("rect", { class: color, x: start, y: i * each + 8, width: end - start, height: 16, rx: 3 }, svg("title", {}, `${row.name}: ${label}`)),
        svg("text", { class: inside ? "inbar" : null, x: at[0], y: i * each + 20, "text-anchor": at[1] }, label));
    });
    return line.frame(line.axis(base), drawn);
  };

  // --- one run ------------------------------------------------------------------------------
  const costCurve = (pods, range, cap) => {
    const priced = pods.filter((pod) => known(pod.cost_per_hour_usd) && known(pod.start));
    if (!priced.length) return null;
    const times = [...new Set([...range, ...priced.flatMap((pod) => [pod.start, known(pod.end) ? pod.end : range[1]])])].sort((a, b) => a - b);
    const at = (t) => priced.reduce((sum, pod) => sum + (pod.cost_per_hour_usd * Math.max(0, Math.min(t, known(pod.end) ? pod.end : range[1]) - pod.start)) / 3600, 0);
    return { name: "accrued", t: times, y: times.map(at), cap };
  };

  const searchable = (text, label) => {
    const lines = text.split("\n");
    const shown = el("pre", { class: "mono" });
    const hits = el("span", { class: "sub" }, "");
    const draw = (needle) => {
      shown.textContent = "";
      if (!needle) { shown.append(text); hits.textContent = ""; requestAnimationFrame(() => { shown.scrollTop = shown.scrollHeight; }); return; }
      const low = needle.toLowerCase();
      let found = 0;
      for (const line of lines) {
        const lower = line.toLowerCase();
        if (!lower.includes(low)) continue;
        found += 1;
        if (found > 2000) continue;
        let from = 0, at;
        // Letters whose lower case is longer would shift the places: such a line is shown unmarked.
        while (lower.length === line.length && (at = lower.indexOf(low, from)) >= 0) {
          shown.append(line.slice(from, at), el("mark", {}, line.slice(at, at + needle.length)));
          from = at + needle.length;
        }
        shown.append(line.slice(from) + "\n");
      }
      hits.textContent = count(found, "line");
    };
    draw("");
    const box = el("input", { type: "search", placeholder: `search ${label}`, "aria-label": `search ${label}`, oninput: (event) => draw(event.target.value) });
    return [el("div", { class: "search" }, box, hits), shown];
  };

  const artifactTable = (artifacts) => el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, "label"), el("th", {}, "status"), el("th", { class: "num" }, "files"), el("th", { class: "num" }, "size"), el("th", {}, "sha256 of the tree"))),
    el("tbody", {}, artifacts.map((one) => [
      el("tr", {}, el("td", {}, one.label, one.required ? "" : el("span", { class: "sub" }, " optional")),
        el("td", { class: `${one.status === "success" ? "good" : one.required ? "bad" : "warn"}${one.error ? "" : " whole"}` }, one.status, one.error ? `: ${one.error}` : ""),
        el("td", { class: "num" }, known(one.files) ? one.files.toLocaleString("en") : ""), el("td", { class: "num" }, bytes(one.bytes)), el("td", { class: "hash" }, one.sha256 || "")),
      one.entries.length || one.refused.length ? el("tr", {}, el("td", { colspan: 5 }, el("details", {}, el("summary", {}, count(one.entries.length, "file") + (one.entries_cut ? " (the first of them)" : "")),
        el("table", {}, el("tbody", {}, one.entries.map((file) => el("tr", {}, el("td", { class: "mono" }, file.path), el("td", { class: "num" }, bytes(file.size)), el("td", { class: "hash" }, file.sha256 || ""))),
          one.refused.map((file) => el("tr", {}, el("td", { class: "mono bad" }, file.path), el("td", { class: "bad" }, "refused"), el("td", {}, file.reason || "")))))))) : null,
    ]))));

  const plain = (value, depth) => {
    if (value === null || typeof value !== "object") return el("span", { class: "mono" }, known(value) ? String(value) : "–");
    if (Array.isArray(value)) return value.length ? el("div", {}, value.map((one) => el("div", {}, plain(one, depth + 1)))) : el("span", {}, "none");
    const pairs = Object.entries(value).filter(([, one]) => known(one));
    if (depth > 1) return el("span", { class: "mono" }, pairs.map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v) : v}`).join(" · "));
    return list(pairs.map(([k, v]) => [words(k), plain(v, depth + 1)]));
  };

  const MOST_BARS = 200;
  const PRICES = { pod_cost: "price of the pod", pod_describe: "price of the pod", assumed_rate: "price, as assumed by the job file" };
  const runPage = () => {
    const s = D.summary;
    const times = [...D.steps.flatMap((one) => [one.start, one.end]), ...D.marks.flatMap((one) => [one.start, one.end]), ...D.events.map((one) => one.t), ...D.pods.flatMap((one) => [one.start, one.end]), ...(D.metrics.t || [])].filter(known);
    const range = times.length ? [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))] : [0, 1];
    if (range[1] <= range[0]) range[1] = range[0] + 1;
    const marks = [...D.steps.map((one) => ({ t: one.start, name: one.name })), ...D.marks.map((one) => ({ t: one.start, name: one.name }))].filter((one) => known(one.t));
    const cause = D.cause;
    const cost = costCurve(D.pods, range, s.cost_cap_usd);
    const M = D.metrics, t = M.t || [];
    const columns = (suffix) => Object.keys(M).filter((key) => key.startsWith("gpu") && key.endsWith(suffix)).map((key) => ({ name: key.replace(suffix, "").replace("gpu", "GPU "), t, y: M[key] }));
    const host = (pairs) => pairs.filter(([key]) => M[key]).map(([key, name]) => ({ name, t, y: M[key] }));
    const percent = (v) => `${Math.round(v)}%`;
    const charts = [
      { title: "GPU use", series: columns("_util_pct"), format: percent, max: 100 },
      { title: "GPU memory", series: columns("_mem_pct"), format: percent, max: 100 },
      { title: "GPU temperature", series: columns("_temp_c"), format: (v) => `${Math.round(v)} °C` },
      { title: "GPU power", series: columns("_power_w"), format: (v) => `${Math.round(v)} W` },
      { title: "Processor and memory", series: host([["cpu_pct", "CPU"], ["mem_pct", "memory"]]), format: percent, max: 100 },
      { title: "Disk of the volume", series: host([["disk_pct", "used"]]), format: percent, max: 100 },
      { title: "Network", series: host([["net_rx", "received"], ["net_tx", "sent"]]), format: (v) => `${bytes(v)}/s`, least: 4000 },
    ].map((one) => lineChart({ ...one, range, marks })).filter(Boolean);
    const gpu = [known(s.gpu_count) && s.gpu_count > 1 ? `${s.gpu_count} × ` : "", s.gpu_id || "none"].join("");
    return [
      el("h1", {}, D.title, el("span", { class: `badge ${tone(s.state)}` }, s.state)),
      el("div", { class: "sub" }, [s.run_id, utc(Date.parse(s.started_at || "") / 1000 || null)].filter(known).join(" · "), s.cloud === "emulator" ? " · on the emulator: no real money" : ""),
      s.carried_on === false ? section("Not over", el("div", { class: "warn" }, `When this page was made, nobody carried this run on. Go on with: runpod-deploy ${s.state === "DETACHED" ? "attach" : "resume"} ${s.folder}`)) : null,
      el("div", { class: "tiles" },
        tile(span(s.wall_time_sec), "wall time"), tile(usd(s.cost_usd), known(s.cost_cap_usd) ? `of ${usd(s.cost_cap_usd)} allowed` : "cost"),
        tile(known(s.price_per_hour_usd) ? `${usd(s.price_per_hour_usd)}/h` : "unknown", PRICES[s.price_source] || "price"),
        tile(gpu, [s.datacenter_id, s.cloud_type].filter(known).join(" · ") || "GPU"), tile(known(s.exit_code) ? s.exit_code : "none", "exit code of the job", s.exit_code === 0 ? "good" : "bad")),
      s.leaked_pods.length ? el("section", { class: "evidence" }, el("h2", { class: "bad" }, "These pods may still be billing"), s.leaked_pods.join(", ")) : null,
      cause && !s.succeeded ? el("section", { class: "evidence" }, el("h2", { class: "bad" }, "Why: ", words(cause.kind || cause.cause || "unknown")), cause.text || "",
        cause.evidence ? el("pre", {}, `${cause.evidence.file}:${cause.evidence.line}  ${cause.evidence.text}`) : null) : null,
      D.warnings.length ? section("Warnings", D.warnings.map((text) => el("div", { class: "warn" }, text))) : null,
      D.steps.length ? section("Steps", bars(D.steps.filter((one) => known(one.start)), range), D.marks.length ? el("details", { open: D.marks.length <= 30 ? "" : null }, el("summary", {}, `${count(D.marks_count, "step")} inside the job`, D.marks_count > MOST_BARS ? `, the first ${MOST_BARS} of them` : ""), bars(D.marks.filter((one) => known(one.start)).slice(0, MOST_BARS), range)) : null) : null,
      cost ? section("Cost", lineChart({ title: "accrued", series: [cost], range, marks, format: usd, scale: amounts, cap: s.cost_cap_usd })) : null,
      charts.length ? section("Telemetry", charts) : section("Telemetry", el("p", { class: "sub" }, "The run left no samples.")),
      section("Results", D.artifacts.length ? artifactTable(D.artifacts) : el("p", { class: "sub" }, "None were asked for.")),
      section("Log", D.log.text ? [el("div", { class: "sub" }, D.log.cut ? `the last of ${bytes(D.log.bytes)}` : bytes(D.log.bytes)), searchable(D.log.text, "log")] : el("p", { class: "sub" }, "There is no log.")),
      section("Source and plan", list([["plan", s.plan_hash], ["git", known(s.git_sha) ? `${s.git_sha}${s.git_branch ? ` (${s.git_branch})` : ""}${s.git_dirty ? ", with changes" : ""}` : null], ["lock file", known(s.lockfile) ? `${s.lockfile} ${s.lockfile_sha256 || ""}` : null], ["image", s.image], ["pod", s.pod_id]]),
        D.drift.length ? [el("h2", {}, "What drifted"), el("table", {}, el("thead", {}, el("tr", {}, ["field", "planned", "had"].map((name) => el("th", {}, name)))), el("tbody", {}, D.drift.map((row) => el("tr", {}, el("td", {}, row.field), el("td", {}, String(row.planned)), el("td", { class: "warn" }, String(row.had))))))] : null,
        D.plan ? [el("details", {}, el("summary", {}, "the plan"), plain(D.plan.sections, 0)), D.plan.scripts.map((one) => el("details", {}, el("summary", {}, `script ${one.name}`), el("pre", {}, one.text)))] : null),
      D.events.length ? section("Events", el("details", {}, el("summary", {}, count(D.events.length, "event") + (D.events_cut ? " (the first of them)" : "")), el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, D.events.map((one) => el("tr", {}, el("td", { class: "num" }, known(one.t) ? span(one.t - range[0]) : ""), el("td", { class: "mono" }, one.event), el("td", { class: "mono" }, Object.entries(one.fields).filter(([, v]) => known(v)).map(([k, v]) => `${k}=${typeof v === "object" ? JSON.stringify(v) : v}`).join("  ")))))))))
        : null,
      D.telemetry.length ? section("Snapshots", D.telemetry.map((one) => el("details", {}, el("summary", {}, one.name), el("pre", {}, one.text)))) : null,
    ];
  };

  // --- many runs ----------------------------------------------------------------------------
  const DAY = 86400;
  const dateTicks = (from, to) => {
    const steps = [60, 300, 900, 1800, 3600, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 182 * DAY, 364 * DAY];
    const each = steps.find((step) => (to - from) / step <= 6) || Math.ceil((to - from) / 6 / DAY) * DAY;
    const first = Math.ceil(from / each) * each;
    const ticks = Array.from({ length: Math.max(0, Math.floor((to - first) / each) + 1) }, (_, i) => first + i * each);
    return ticks.map((tick) => ({ tick, label: each < DAY ? utc(tick).slice(5, 16) : utc(tick).slice(0, 10) }));
  };
  const scatter = (runs, key, title, format, scale = () => format, ceiling = nice) => {
    const rows = runs.filter((run) => plausible(run[key]) && run[key] >= 0 && known(run.start));
    if (!rows.length) return null;
    const starts = rows.map((run) => run.start);
    const range = [starts.reduce((a, b) => Math.min(a, b)), starts.reduce((a, b) => Math.max(a, b))];
    if (range[1] - range[0] < 600) { range[0] -= 600; range[1] += 600; }
    const top = ceiling(rows.reduce((most, run) => Math.max(most, run[key]), 0) || 1), onAxis = scale(top);
    const height = 190, base = 160, left = width(QUARTERS.map((part) => onAxis(top * part)));
    const x = (t) => left + 10 + ((t - range[0]) / (range[1] - range[0])) * (W - left - 32);
    const y = (v) => base - (v / top) * (base - 14);
    const level = (part) => [svg("line", { class: "axis", x1: left, x2: W - 12, y1: y(top * part), y2: y(top * part) }), svg("text", { x: left - 8, y: y(top * part) + 4, "text-anchor": "end" }, onAxis(top * part))];
    const moment = ({ tick, label }) => [svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: 14, y2: base }), svg("text", { x: x(tick), y: base + 18, "text-anchor": x(tick) > W - 50 ? "end" : "middle" }, label)];
    return el("div", { class: "chart" }, el("h3", {}, title), svg("svg", { viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": title }, QUARTERS.map(level), dateTicks(...range).map(moment),
      rows.map((run) => svg("circle", { class: run.succeeded ? "fgood" : "fbad", cx: x(run.start), cy: y(run[key]), r: 4.5, "fill-opacity": 0.75 }, svg("title", {}, `${run.folder} ${run.job_name || ""}: ${format(run[key])}`)))));
  };

  const runsPage = () => {
    const runs = D.runs;
    const sum = (key) => runs.reduce((total, run) => total + (run[key] || 0), 0);
    const text = ["git_sha", "gpu_id"];
    const columns = [["folder", "run"], ["job_name", "job"], ["state", "state"], ["gpu_id", "GPU", (name) => name.replace(/^NVIDIA (GeForce )?/, "")], ["datacenter_id", "data center"], ["wall_time_sec", "time", span], ["price_per_hour_usd", "$/h", usd], ["cost_usd", "cost", usd], ["bytes", "results", bytes], ["git_sha", "git", (sha) => (sha || "").slice(0, 10)]];
    let order = ["folder", -1];
    const body = el("tbody", {});
    const draw = () => {
      const [key, way] = order;
      const sorted = [...runs].sort((a, b) => way * (known(a[key]) && known(b[key]) ? (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) : known(a[key]) - known(b[key])));
      body.replaceChildren(...sorted.map((run) => el("tr", {}, columns.map(([name, , format]) => el("td", { class: [format && !text.includes(name) ? "num" : "", name === "state" ? tone(run.state) : "", name === "git_sha" ? "mono" : "", name === "job_name" ? "name" : "", ["folder", "state", "git_sha", "datacenter_id"].includes(name) ? "whole" : ""].join(" ").trim() || null }, format ? (known(run[name]) ? format(run[name]) : "") : known(run[name]) ? run[name] : "")))));
    };
    const head = el("tr", {}, columns.map(([key, name, format]) => {
      const cell = el("th", { class: format && !text.includes(key) ? "num" : null, scope: "col" }, el("button", { type: "button", onclick: () => {
        order = [key, order[0] === key ? -order[1] : 1];
        for (const other of head.children) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", order[1] > 0 ? "ascending" : "descending");
        draw();
      } }, name));
      return cell;
    }));
    draw();
    const good = runs.filter((run) => run.succeeded).length;
    const unpriced = runs.filter((run) => !known(run.cost_usd)).length;
    return [
      el("h1", {}, D.title), el("div", { class: "sub" }, count(runs.length, "run")),
      el("div", { class: "tiles" }, tile(`${good} of ${runs.length}`, "succeeded"), tile(usd(sum("cost_usd")), unpriced ? `cost, ${unpriced} unknown` : "cost"), tile(span(sum("wall_time_sec")), "wall time"), tile(bytes(sum("bytes")), "results")),
      section("Cost and time", scatter(runs, "cost_usd", "cost of each run", usd, amounts), scatter(runs, "wall_time_sec", "wall time of each run", short, undefined, niceTime)),
      section("Runs", el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), body))),
    ];
  };

  const page = document.getElementById("page");
  page.replaceChildren();
  add(page, D.kind === "runs" ? runsPage() : runPage());
  page.append(el("footer", {}, `made ${D.made_at} by runpod-deploy ${D.tool_version}`));
  document.body.dataset.ready = "yes";
})();
