// The page: photos come in, the server is asked, answers are shown. All that is remembered is in this tab.

import { ask, get, Refused } from "./ask.js";
import { offerCamera } from "./camera.js";
import * as draw from "./draw.js";
import { bars, byId, crops, element, notes, percent, pictures, similar } from "./show.js";

const REMEMBERED = 24;
const MORE = ["saliency", "similar", "localize"];

let served = null; // what /api/models says
let shown = null; // the photo on the page and all that was said of it
let asked = 0; // counts questions: a late answer to an older one is not shown
const history = [];

start();

async function start() {
  byId("origin").textContent = location.origin;
  try {
    served = await get("/api/models");
    const { samples } = await get("/api/samples");
    const items = samples.map((each) => ({ ...each, src: each.photo }));
    pictures(byId("sample-list"), byId("samples"), items, trySample);
  } catch (error) {
    refuse(error);
    return;
  }
  offerModels();
  offerCamera((photo) => look([{ photo, name: "From the camera" }]), (words) => say(words, ""));
  listen();
}

function offerModels() {
  byId("model").replaceChildren(...served.models.map(({ name }) => element("option", {}, name)));
  byId("choice").hidden = served.models.length < 2;
  byId("model").addEventListener("change", () => {
    describe();
    if (shown) look([{ ...shown.entry }]);
  });
  describe();
}

const model = () => served.models.find(({ name }) => name === byId("model").value);

function describe() {
  const { name, recipe, classes, trained, tested } = model();
  const known = served.models.length < 2 ? [name] : [];
  const words = [...known, recipe, `${classes.toLocaleString("en")} classes`, trained, tested];
  byId("about").textContent = [...new Set(words)].filter(Boolean).join(" \u00b7 ");
}

function listen() {
  byId("file").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });
  const frame = byId("frame");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    frame.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) frame.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    frame.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
    else say("That was a link or a text, not a photo: save the photo first.", "");
  });
  byId("modes").addEventListener("change", redraw);
}

function take(files) {
  look([...files].slice(0, REMEMBERED).map((file) => ({ photo: file, name: file.name })));
}

async function trySample(sample) {
  try {
    const photo = await (await fetch(sample.photo)).blob();
    await look([{ photo, name: "A photo of the store", truth: sample.wnid ? sample : null }]);
  } catch {
    say("The server does not answer: has it been stopped?", "");
  }
}

/** Asks about photos one after the other; the last one stays on the page. */
async function look(entries) {
  const turn = ++asked;
  say("", "Looking.");
  byId("frame").classList.add("busy");
  for (const entry of entries) {
    try {
      const found = await classified(entry, turn);
      if (turn !== asked) return;
      show(found);
      remember(found);
      await more(found, turn);
    } catch (error) {
      if (turn === asked) refuse(error, entries.length > 1 ? `${entry.name}: ` : "");
    }
  }
  if (turn === asked) byId("frame").classList.remove("busy");
}

async function classified(entry) {
  const { photo } = entry;
  if (photo.size > served.max_bytes) {
    const most = Math.round(served.max_bytes / 2 ** 20);
    throw new Refused(`The photo is larger than ${most} MB: choose a smaller one.`);
  }
  const used = model();
  const answer = await ask("classify", photo, { model: used.name, crops: 1 });
  const square = await draw.loaded(answer.square.image);
  const image = (await draw.decoded(photo)) ?? square;
  return { entry, used, answer, square, image, more: {} };
}

/** What else the net can say, shown as it comes. */
async function more(found, turn) {
  for (const what of found.used.answers.filter((each) => MORE.includes(each))) {
    found.more[what] = await ask(what, found.entry.photo, { model: found.used.name });
    if (turn === asked && shown === found) showMore(found);
  }
}

function show(found) {
  shown = found;
  const { answer, entry } = found;
  const [first] = answer.classes;
  byId("frame").classList.remove("empty");
  byId("prompt").hidden = true;
  byId("picture").hidden = byId("classes").hidden = byId("modes").hidden = false;
  byId("picture").setAttribute("aria-label", `${entry.name}, taken for ${first.name}`);
  byId("caption").hidden = false;
  bars(answer.classes, entry.truth ?? null);
  notes(answer.photo.notes);
  const thumbnail = (crop) => draw.cropThumbnail(found.square, crop, answer.square.crop);
  crops(answer, thumbnail, pointAt);
  say("", answer.classes.map((each) => `${each.name} ${percent(each.probability)}`).join(", "));
  showMore(found);
  byId("frame").scrollIntoView({ block: "nearest" });
}

function showMore(found) {
  byId("similar").hidden = true;
  if (found.more.similar) similar(found.more.similar);
  for (const [mode, has] of [["saliency", found.more.saliency], ["boxes", found.more.localize]]) {
    const label = document.querySelector(`[data-needs="${mode}"]`);
    label.hidden = !has;
    if (!has && label.querySelector("input").checked && !promised(mode)) {
      document.querySelector('[value="photo"]').checked = true;
    }
  }
  redraw();
}

const promised = (mode) => shown.used.answers.includes(mode === "boxes" ? "localize" : mode);

function pointAt(crop) {
  if (crop) draw.crop(byId("picture"), shown.square, crop, shown.answer.square.crop);
  else redraw();
}

function redraw() {
  const canvas = byId("picture");
  const { image, square, more: said } = shown;
  const mode = document.querySelector("[name=mode]:checked").value;
  if (mode === "saliency" && said.saliency) draw.saliency(canvas, square, said.saliency);
  else if (mode === "boxes" && said.localize) draw.boxes(canvas, image, said.localize.boxes, boxWords);
  else if (mode === "square") draw.place(canvas, square);
  else draw.place(canvas, image);
  byId("caption").textContent = caption(mode);
}

/** What the picture shows in this mode. */
function caption(mode) {
  const { entry, answer, more: said } = shown;
  const { side, crop } = answer.square;
  const { width, height } = answer.photo;
  const words = {
    square: ` as the net gets it: ${side} \u00d7 ${side} pixels, of which it sees ${crop} \u00d7 ${crop} at a time`,
    saliency: said.saliency && `: bright is what speaks for ${said.saliency.name} in the middle crop (Grad-CAM)`,
    boxes: said.localize && `: ${said.localize.boxes.length} found`,
  };
  return entry.name + (words[mode] || `, ${width} \u00d7 ${height} pixels`);
}

/** A score is no share: it adds up the windows that agree. */
const boxWords = (box) => `${box.name} ${box.score.toFixed(1)}`;

function remember(found) {
  const [first] = found.answer.classes;
  found.src = draw.thumbnail(found.image);
  found.name = first.name;
  found.words = percent(first.probability);
  history.unshift(found);
  history.length = Math.min(history.length, REMEMBERED);
  pictures(byId("history-list"), byId("history"), history, recall);
}

function recall(found) {
  ++asked;
  byId("frame").classList.remove("busy");
  byId("model").value = found.used.name;
  describe();
  show(found);
}

function refuse(error, before = "") {
  if (!(error instanceof Refused)) console.error(error);
  say(before + (error instanceof Refused ? error.message : `Something went wrong: ${error.message}`), "");
}

/** One place for what went wrong, one for what a screen reader is told. */
function say(wrong, told) {
  byId("refused").textContent = wrong;
  if (wrong) byId("refused").scrollIntoView({ block: "nearest" });
  byId("said").textContent = told;
}
