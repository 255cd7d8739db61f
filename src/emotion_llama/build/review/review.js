// The only script of the review page. Texts of clips and people are put in as text, never as markup.

const SEEK_S = 0.5;
const FRAME_S = 0.04;
const MOST_UNITS = 10;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : post);
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  if (answer.status === 401 && document.body.dataset.view === "review") {
    if (body !== undefined) throw new Error("You are signed out. Sign in again in another tab, then save here.");
    location.assign("/");
  }
  throw new Error(said.detail || `the server answered ${answer.status}`);
}

// --- the door: token, sign-in -------------------------------------------------------------------------------------

function openDoor() {
  const form = byId("sign-in");
  // a link from another site comes without our cookies; asked from here they are sent
  if (form) ask("/api/me").then((me) => { if (me.annotator) location.replace("/"); }, () => {});
  else if (document.body.dataset.view === "locked" && !sessionStorage.getItem("tried")) {
    sessionStorage.setItem("tried", "1");
    fetch("/api/me").then((answer) => { if (answer.status !== 403) location.replace("/"); }, () => {});
  }
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("problem").textContent = "";
    try {
      await ask(form.dataset.post, { name: byId("name").value.trim(), password: byId("password").value });
      location.replace("/" + location.hash);
    } catch (error) {
      byId("problem").textContent = error.message;
      byId("password").select();
    }
  });
}

// --- one clip -----------------------------------------------------------------------------------------------------

let clip = null; // what the server says of the clip on the page
let player = null; // its video or audio element
let time = 0; // seconds of the recording
let scores = {}; // criterion → points, null = does not apply; not there = not rated
let marked = 0; // number of the marked criterion
let fixing = false;
let warned = false; // that criteria are not rated
let saving = false; // so that a key pressed twice does not judge twice
let later = new Set(); // keys that were put off
let trail = []; // keys that were shown before this one
let listed = { show: "todo", items: [] };

const criteria = [...document.querySelectorAll(".criterion")];

async function open(key, back = false) {
  const shown = await ask(`/api/clips/${key}`);
  if (clip && !back && clip.key !== key) trail.push(clip.key);
  clip = shown;
  history.replaceState(null, "", `#${key}`);
  fixing = false;
  warned = false;
  const draft = JSON.parse(sessionStorage.getItem(`scores ${key}`) || "null");
  scores = draft || Object.fromEntries(Object.entries(clip.mine?.scores ?? {}).filter(([, points]) => points !== null));
  marked = 0;
  byId("desk").hidden = false;
  byId("empty").hidden = true;
  byId("right").scrollTop = 0;
  window.scrollTo(0, 0);
  showRecording();
  showContent();
  showScores();
  byId("others").hidden = true;
  byId("others-hint").hidden = !(clip.mine && clip.others);
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.classList.toggle("chosen", button.dataset.verdict === clip.mine?.verdict);
  }
  document.title = `${clip.label ?? "no emotion"} · ${clip.clip}`;
}

async function openNext() {
  const queue = await refresh();
  const left = queue.items.filter((item) => item.key !== clip?.key);
  const next = left.find((item) => !later.has(item.key)) ?? left[0];
  if (next && !left.some((item) => !later.has(item.key))) later.clear();
  if (next) return open(next.key);
  if (queue.items.length && clip) return say("this is the last clip that needs you", "warn");
  player?.pause();
  clip = null;
  byId("desk").hidden = true;
  byId("empty").hidden = false;
}

async function refresh() {
  const queue = await ask("/api/queue?show=todo");
  byId("progress").max = queue.clips;
  byId("progress").value = queue.mine;
  byId("progress-text").textContent = `${queue.mine} judged by you, ${queue.count} to do`;
  return queue;
}

function say(text, kind = "") {
  byId("status").textContent = text;
  byId("status").className = kind;
  if (kind) byId("status").scrollIntoView({ block: "nearest" });
}

function guarded(action) {
  return (...given) => Promise.resolve(action(...given)).catch((error) => say(error.message, "bad"));
}

// --- recording, time, mesh, action units ----------------------------------------------------------------------------

function showRecording() {
  player?.pause();
  player = null;
  const box = byId("player");
  box.replaceChildren();
  const type = clip.media.type || "";
  if (clip.media.problem) box.append(element("p", {}, clip.media.problem));
  else if (type.startsWith("image/")) box.append(element("img", { src: `/media/${clip.key}`, alt: "The recording" }));
  else box.append(startPlayer(type));
  showFace(type);
  showWave();
  showUnits();
  byId("play").disabled = !player;
  byId("timeline").hidden = !player && !lengthS();
  seek(player ? clip.span_s[0] : clip.peak_s ?? clip.span_s[0]);
  if (player && navigator.userActivation?.hasBeenActive && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
}

function startPlayer(type) {
  const sound = type.startsWith("audio/");
  player = element(sound ? "audio" : "video", { src: `/media/${clip.key}`, preload: "auto", playsinline: "" });
  const mine = player;
  player.addEventListener("loadedmetadata", () => { if (player === mine) { showWave(); seek(time); } });
  player.addEventListener("error", () => {
    if (player !== mine) return;
    player = null;
    byId("player").replaceChildren(element("p", {}, "This browser cannot play the recording: only the preview is shown."));
    byId("play").disabled = true;
  });
  for (const event of ["play", "pause"]) player.addEventListener(event, () => showPlaying());
  player.addEventListener("click", () => toggle());
  if (!sound) return player;
  const note = element("p", {}, "Sound alone");
  note.append(player);
  return note;
}

function startS() {
  return clip.span_s[0];
}

function lengthS() {
  if (clip.preview?.duration_s) return clip.preview.duration_s;
  const end = clip.span_s[1] ?? (Number.isFinite(player?.duration) ? player.duration : 0);
  return Math.max(0, end - startS());
}

function play() {
  if (!player) return;
  const end = startS() + lengthS();
  if (lengthS() && time >= end - 0.05) seek(startS());
  player.play().catch(() => {});
}

function toggle() {
  if (player && !player.paused) player.pause();
  else play();
}

function showPlaying() {
  byId("play-word").textContent = player && !player.paused ? "Pause" : "Play";
  if (player && !player.paused) requestAnimationFrame(follow);
}

function follow() {
  if (!player || player.paused) return;
  time = player.currentTime;
  const end = startS() + lengthS();
  if (clip.span_s[1] !== null && lengthS() && time >= end) {
    player.pause();
    time = end;
  }
  showTime();
  requestAnimationFrame(follow);
}

function seek(wanted) {
  const end = startS() + lengthS();
  time = Math.max(startS(), lengthS() ? Math.min(wanted, end) : wanted);
  if (player && player.readyState > 0) player.currentTime = time;
  showTime();
}

function showTime() {
  const start = startS(), length = lengthS();
  const share = length ? Math.min(1, Math.max(0, (time - start) / length)) : 0;
  byId("clock").textContent = length ? `${(time - start).toFixed(2)} of ${length.toFixed(2)} s` : "";
  const wave = byId("wave");
  wave.querySelector(".now")?.setAttribute("x1", 1000 * share);
  wave.querySelector(".now")?.setAttribute("x2", 1000 * share);
  wave.querySelector(".edge")?.setAttribute("width", 1000 * share);
  wave.setAttribute("aria-valuemax", length.toFixed(2));
  wave.setAttribute("aria-valuenow", (time - start).toFixed(2));
  moveUnits();
}

function showWave() {
  const peaks = clip.preview?.waveform ?? [];
  const picture = drawing("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  const highest = Math.max(...peaks, 0.05);
  const wide = 1000 / Math.max(1, peaks.length);
  const path = peaks.map((peak, n) => {
    const half = Math.max(0.8, (46 * peak) / highest);
    return `M${(n * wide).toFixed(1)} ${(50 - half).toFixed(1)}h${(wide * 0.72).toFixed(2)}v${(2 * half).toFixed(1)}h-${(wide * 0.72).toFixed(2)}z`;
  }).join("");
  const clipping = drawing("clipPath", { id: "edge" });
  clipping.append(drawing("rect", { class: "edge", x: 0, y: 0, width: 0, height: 100 }));
  picture.append(clipping, drawing("path", { d: path }), drawing("path", { d: path, class: "played", "clip-path": "url(#edge)" }));
  const length = lengthS();
  const at = clip.peak_s === null || !length ? null : (1000 * (clip.peak_s - startS())) / length;
  if (at !== null) picture.append(drawing("line", { class: "peak", x1: at, x2: at, y1: 0, y2: 100 }));
  picture.append(drawing("line", { class: "now", x1: 0, x2: 0, y1: 0, y2: 100 }));
  byId("wave").replaceChildren(picture);
  byId("peak-legend").hidden = at === null;
}

function showFace(type) {
  const picture = type.startsWith("video/") || type.startsWith("image/");
  const face = byId("face"), crop = byId("crop");
  crop.replaceChildren();
  face.hidden = !clip.mesh && !(type.startsWith("video/") && clip.peak_s !== null);
  if (face.hidden) return;
  crop.classList.toggle("whole", !clip.mesh);
  const square = element("div", { class: "square" }); // picture and mesh share its corners, whatever the room around it
  if (picture) square.append(still(type));
  if (clip.mesh) square.append(mesh(clip.mesh));
  crop.append(square);
  byId("face-caption").textContent = clip.peak_s === null ? "Face" : `Peak frame, ${clip.peak_s.toFixed(2)} s`;
}

function still(type) {
  const moving = type.startsWith("video/");
  const made = element(moving ? "video" : "img", { src: `/media/${clip.key}` });
  if (moving) {
    const peak = clip.peak_s ?? startS();
    made.muted = true;
    made.preload = "auto";
    made.addEventListener("loadedmetadata", () => { made.currentTime = peak; });
  } else made.alt = "";
  made.setAttribute("aria-hidden", "true");
  if (clip.mesh && clip.mesh.frame_px) {
    const [x, y, side] = clip.mesh.view_px;
    made.style.width = `${(100 * clip.mesh.frame_px[0]) / side}%`;
    made.style.left = `${(-100 * x) / side}%`;
    made.style.top = `${(-100 * y) / side}%`;
  }
  return made;
}

function mesh(lines) {
  const [x, y, side] = lines.view_px;
  const picture = drawing("svg", { viewBox: `${x} ${y} ${side} ${side}`, role: "img", "aria-label": "Face mesh at the peak frame" });
  for (const [px, py] of lines.points) picture.append(drawing("circle", { cx: px, cy: py, r: side / 320 }));
  for (const path of lines.lines) picture.append(drawing("path", { d: path }));
  return picture;
}

function showUnits() {
  const series = clip.preview?.action_units ?? {};
  const highest = Object.fromEntries(Object.entries(clip.action_units));
  for (const [name, values] of Object.entries(series)) highest[name] = Math.max(highest[name] ?? 0, ...values);
  const names = Object.keys(highest).sort((a, b) => highest[b] - highest[a]).slice(0, MOST_UNITS);
  byId("units").replaceChildren(...names.map((name) => {
    const bar = element("i");
    const row = element("div", { class: "unit", "data-unit": name, title: `${name}, highest ${highest[name].toFixed(1)}` });
    const track = element("div", { class: "track", "aria-hidden": "true" });
    track.append(bar);
    const words = element("span", { class: "words" }, clip.unit_names[name] ?? "");
    row.append(element("span", { class: "soft" }, name), words, track, element("span", { class: "value" }));
    return row;
  }));
}

function unitAt(name) {
  const series = clip.preview?.action_units?.[name], times = clip.preview?.times_s ?? [];
  if (!series || !times.length) return clip.action_units[name] ?? 0;
  const after = times.findIndex((known) => known >= time);
  if (after === 0) return series[0];
  if (after < 0) return series[series.length - 1];
  const share = (time - times[after - 1]) / Math.max(1e-6, times[after] - times[after - 1]);
  return series[after - 1] + share * (series[after] - series[after - 1]);
}

function moveUnits() {
  for (const row of byId("units").children) {
    const value = unitAt(row.dataset.unit), bar = row.querySelector("i");
    bar.style.width = `${Math.min(100, 20 * value)}%`;
    bar.className = value >= 1 ? "on" : "";
    row.querySelector(".value").textContent = value.toFixed(1);
  }
}

// --- what the data set says, and fixing it ----------------------------------------------------------------------------

function showContent() {
  byId("clip-name").textContent = clip.speaker ? `${clip.clip} · speaker ${clip.speaker}` : clip.clip;
  const chips = clip.doubts.map((doubt) => element("li", { class: "chip" }, doubt));
  if (clip.disputed) chips.unshift(element("li", { class: "chip disputed" }, "disputed"));
  if (clip.others) chips.push(element("li", { class: "chip plain" }, `judged by ${clip.others} other${clip.others > 1 ? "s" : ""}`));
  byId("chips").replaceChildren(...chips);
  byId("content").replaceChildren(...(fixing ? fields() : readings()));
  byId("save-fix").hidden = byId("leave-fix").hidden = !fixing;
  for (const button of document.querySelectorAll("[data-verdict]")) button.hidden = fixing;
}

function block(name, content, note = "", kind = "") {
  const head = element("h3", {}, name, " ");
  if (note) head.append(element("small", {}, note));
  const made = element("div", { class: `block ${kind}` });
  made.append(head, content);
  return made;
}

function readings() {
  const own = clip.mine?.changes ?? {};
  const made = [element("p", { class: "emotion" }, own.emotion ?? clip.label ?? "no emotion")];
  if (own.emotion) made.push(element("p", { class: "soft small" }, `by you; the data set says ${clip.label ?? "none"}`));
  const said = own.transcript ?? clip.content.transcript;
  const spoken = said === null ? "Not transcribed." : "Nothing was said.";
  const words = said ? element("blockquote", {}, said) : element("p", { class: "soft" }, spoken);
  made.push(block("Transcript", words, own.transcript != null ? "fixed by you" : ""));
  clip.texts.forEach((text, n) => {
    const fixed = text.field && own[text.field] != null;
    const writer = fixed ? "fixed by you" : text.writer ?? "";
    made.push(block(text.name, element("p", {}, fixed ? own[text.field] : text.text), writer, n === 0 ? "lead" : ""));
  });
  if (clip.facts.length) {
    const facts = element("dl", { class: "facts" });
    for (const [name, words] of clip.facts) facts.append(element("dt", {}, name), element("dd", {}, words));
    made.push(facts);
  }
  return made;
}

function fields() {
  const own = clip.mine?.changes ?? {};
  const emotion = element("select", { id: "fix-emotion", "data-field": "emotion" });
  if (clip.label === null) emotion.append(element("option", { value: "" }, "none"));
  for (const label of clip.emotions) emotion.append(element("option", { value: label }, label));
  emotion.value = own.emotion ?? clip.label ?? "";
  const made = [labelled("Emotion", emotion)];
  const editable = [{ field: "transcript", name: "Transcript" }, ...clip.texts.filter((text) => text.field)];
  for (const { field, name } of editable) {
    const area = element("textarea", { id: `fix-${field}`, "data-field": field, rows: "3", maxlength: "10000" });
    area.value = own[field] ?? clip.content[field] ?? "";
    made.push(labelled(name, area));
  }
  const note = element("input", { id: "fix-reason", maxlength: "1000", autocomplete: "off" });
  note.value = clip.mine?.verdict === "fix" ? clip.mine.reason : "";
  made.push(labelled("Why (may stay empty)", note));
  return made;
}

function labelled(name, field) {
  const made = element("div", { class: "block" });
  made.append(element("label", { for: field.id }, element("h3", {}, name)), field);
  return made;
}

function startFix() {
  fixing = true;
  player?.pause();
  showContent();
  byId("fix-emotion").focus();
  say("Edit what is wrong, then Ctrl + Enter. Esc leaves the field, once more the fix.");
}

function leaveFix() {
  fixing = false;
  showContent();
  say("");
}

function changes() {
  const made = {};
  for (const field of document.querySelectorAll("[data-field]")) {
    const before = clip.content[field.dataset.field];
    const untouched = field.value === (before ?? "");
    if (!untouched) made[field.dataset.field] = field.value;
  }
  return made;
}

// --- judging --------------------------------------------------------------------------------------------------------

function showScores() {
  criteria.forEach((box, number) => {
    const name = box.dataset.criterion;
    box.classList.toggle("marked", number === marked);
    box.classList.remove("missing");
    for (const button of box.querySelectorAll("button")) {
      const points = button.dataset.points === "" ? null : Number(button.dataset.points);
      button.setAttribute("aria-pressed", String(name in scores && scores[name] === points));
    }
  });
}

function give(name, points) {
  scores[name] = points;
  sessionStorage.setItem(`scores ${clip.key}`, JSON.stringify(scores));
  marked = Math.min(criteria.length - 1, criteria.findIndex((box) => box.dataset.criterion === name) + 1);
  warned = false;
  say("");
  showScores();
}

function mark(step) {
  marked = (marked + step + criteria.length) % criteria.length;
  showScores();
}

async function judge(verdict, reason = "", changed = {}) {
  if (saving) return;
  const missing = criteria.filter((box) => !(box.dataset.criterion in scores));
  if (verdict !== "reject" && missing.length && !warned) {
    warned = true;
    marked = criteria.indexOf(missing[0]);
    showScores();
    for (const box of missing) box.classList.add("missing");
    const count = missing.length === criteria.length ? "No criterion" : `${missing.length} of ${criteria.length} criteria not`;
    say(`${count} rated. Give points, or do the same again to save without.`, "warn");
    return;
  }
  saving = true;
  try {
    await save(verdict, reason, changed);
  } finally {
    saving = false;
  }
}

async function save(verdict, reason, changed) {
  const done = clip.clip;
  await ask(`/api/clips/${clip.key}/judgment`, { verdict, reason, scores, changes: changed });
  sessionStorage.removeItem(`scores ${clip.key}`);
  later.delete(clip.key);
  fixing = false;
  await openNext();
  say(`${{ accept: "Accepted", fix: "Fixed", reject: "Rejected" }[verdict]}: ${done}. B goes back to it.`);
}

function saveFix() {
  const changed = changes();
  if (!Object.keys(changed).length) return say("Nothing is changed yet. Esc leaves the fix.", "warn");
  return judge("fix", byId("fix-reason").value, changed);
}

function askReason() {
  player?.pause();
  byId("reject-reason").value = clip.mine?.verdict === "reject" ? clip.mine.reason : "";
  byId("reject").showModal();
  byId("reject-reason").focus();
}

function reject(reason) {
  byId("reject").close();
  return judge("reject", reason);
}

async function showOthers() {
  const rows = await ask(`/api/clips/${clip.key}/others`);
  byId("others-list").replaceChildren(...(rows.length ? rows.map(other) : [element("p", { class: "soft" }, "Nobody else has judged it yet.")]));
  byId("others").hidden = false;
  byId("others").scrollIntoView({ block: "start" });
}

function other(row) {
  const made = element("div", { class: "other" });
  const head = element("p", {}, element("b", {}, row.annotator), ` · ${row.verdict} · ${row.emotion ?? "no emotion"}`);
  const points = clip.criteria.filter((name) => row.scores[name] !== null).map((name) => `${name} ${row.scores[name]}`);
  made.append(head);
  if (points.length) made.append(element("p", { class: "soft" }, points.join(", ")));
  if (row.reason) made.append(element("p", {}, row.reason));
  for (const [field, text] of Object.entries(row.changes)) {
    if (text !== null && field !== "emotion") made.append(block(field.replace("_", " "), element("p", {}, text || "(nothing was said)")));
  }
  return made;
}

// --- queue ------------------------------------------------------------------------------------------------------------

async function showQueue(show = "todo") {
  listed = await ask(`/api/queue?show=${show}`);
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.show === show));
  const more = listed.count > listed.items.length ? `, the first ${listed.items.length} are listed` : "";
  byId("queue-count").textContent = `${listed.count} of ${listed.clips} clips${more}. ${listed.complete} have ${listed.wanted} judgments or more.`;
  byId("list").replaceChildren(...listed.items.map(listItem));
  if (!byId("queue").open) byId("queue").showModal();
  byId("list").querySelector("button")?.focus();
}

function listItem(item) {
  const row = element("button", { type: "button", "data-key": item.key });
  const why = [...(item.why === "disputed" ? ["disputed"] : []), ...item.doubts];
  if (item.judged) why.push(`${item.judged} judgment${item.judged > 1 ? "s" : ""}${item.mine ? ", one yours" : ""}`);
  row.append(element("span", { class: "name" }, item.clip), element("span", {}, item.label ?? "no emotion"));
  if (why.length) row.append(element("span", { class: "why" }, why.join(" · ")));
  row.addEventListener("click", guarded(async () => {
    byId("queue").close();
    await open(item.key);
  }));
  return element("li", {}, row);
}

function moveInList(step) {
  const rows = [...byId("list").querySelectorAll("button")];
  rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(document.activeElement) + step))]?.focus();
}

// --- keys -------------------------------------------------------------------------------------------------------------

const KEYS = {
  " ": toggle,
  ArrowLeft: (event) => seek(time - (event.shiftKey ? FRAME_S : SEEK_S)),
  ArrowRight: (event) => seek(time + (event.shiftKey ? FRAME_S : SEEK_S)),
  ArrowUp: () => mark(-1),
  ArrowDown: () => mark(1),
  p: () => { player?.pause(); if (clip.peak_s !== null) seek(clip.peak_s); },
  s: () => { if (player) { player.playbackRate = player.playbackRate === 1 ? 0.5 : 1; say(player.playbackRate === 1 ? "Full speed" : "Half speed"); } },
  m: () => byId("crop").querySelector("svg")?.toggleAttribute("hidden"),
  a: () => judge("accept"),
  f: startFix,
  r: askReason,
  n: () => { later.add(clip.key); return openNext(); },
  b: () => (trail.length ? open(trail.pop(), true) : say("this is the first clip you looked at", "warn")),
  o: showOthers,
  "-": () => give(criteria[marked].dataset.criterion, null),
  "–": () => give(criteria[marked].dataset.criterion, null),
};

function typing(target) {
  return target.matches("input, textarea, select");
}

function onKey(event) {
  if (event.altKey || event.isComposing) return;
  const dialog = document.querySelector("dialog[open]");
  if (dialog) return inDialog(event, dialog);
  if (fixing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) return run(event, saveFix);
  if (event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape" && typing(event.target)) return event.target.blur();
  if (typing(event.target)) return;
  if (event.key === "Escape" && fixing) return run(event, leaveFix);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "?") return run(event, () => byId("keys").showModal());
  if (key === "q") return run(event, () => showQueue());
  if (!clip) return;
  if (/^[0-5]$/.test(key)) return run(event, () => give(criteria[marked].dataset.criterion, Number(key)));
  if (fixing && /^[a-z]$/.test(key) && !"psm".includes(key)) return; // nothing that would throw the edits away
  if (key === " " && event.target.matches("button, a, summary")) return;
  if (key in KEYS && !(event.repeat && "afrnb".includes(key))) run(event, () => KEYS[key](event));
}

function inDialog(event, dialog) {
  if (event.ctrlKey || event.metaKey) return;
  if (dialog.id === "reject" && /^[1-9]$/.test(event.key) && !byId("reject-reason").value) {
    const button = byId("reasons").querySelectorAll("button")[Number(event.key) - 1];
    if (button) run(event, () => button.click());
  }
  if (dialog.id === "queue") {
    const tab = byId("tabs").children[Number(event.key) - 1];
    if (tab) run(event, () => tab.click());
    if (event.key === "ArrowDown") run(event, () => moveInList(1));
    if (event.key === "ArrowUp") run(event, () => moveInList(-1));
  }
}

function run(event, action) {
  event.preventDefault();
  guarded(action)();
}

function onClick(id, action) {
  byId(id)?.addEventListener("click", () => {
    document.activeElement?.blur(); // so that the next Space plays, and does not press the button again
    guarded(action)();
  });
}

function openDesk() {
  document.addEventListener("keydown", onKey);
  onClick("open-queue", () => showQueue());
  onClick("open-keys", () => byId("keys").showModal());
  onClick("play", toggle);
  onClick("save-fix", saveFix);
  onClick("leave-fix", leaveFix);
  const verdicts = { accept: () => judge("accept"), fix: startFix, reject: askReason };
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.addEventListener("click", () => { button.blur(); guarded(verdicts[button.dataset.verdict])(); });
  }
  for (const box of criteria) {
    for (const button of box.querySelectorAll("button")) {
      const points = button.dataset.points === "" ? null : Number(button.dataset.points);
      button.addEventListener("click", () => { button.blur(); give(box.dataset.criterion, points); });
    }
  }
  for (const button of byId("reasons").querySelectorAll("button")) {
    button.addEventListener("click", guarded(() => reject(button.dataset.reason)));
  }
  byId("reject-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("reject-reason").value.trim()) guarded(reject)(byId("reject-reason").value);
  });
  for (const tab of byId("tabs").children) tab.addEventListener("click", guarded(() => showQueue(tab.dataset.show)));
  const wave = byId("wave");
  const toPointer = (event) => {
    const box = wave.getBoundingClientRect();
    seek(startS() + (lengthS() * (event.clientX - box.left)) / box.width);
  };
  wave.addEventListener("pointerdown", (event) => { wave.setPointerCapture(event.pointerId); toPointer(event); });
  wave.addEventListener("pointermove", (event) => { if (event.buttons) toPointer(event); });
  guarded(async () => {
    const wanted = location.hash.slice(1);
    await refresh();
    if (/^[0-9a-f]{20}$/.test(wanted)) await open(wanted).catch(openNext);
    else await openNext();
  })();
}

if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname + location.hash);
byId("sign-out")?.addEventListener("click", async () => {
  await ask("/api/sign-out", {}).catch(() => {});
  location.assign("/");
});
if (document.body.dataset.view === "review") openDesk();
else openDoor();
