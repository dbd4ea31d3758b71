// The page: takes photos, has them predicted (api.js), shows the predictions. Everything is kept in this tab only.

import { get, predict, Refused } from "./api.js";
import { offerCamera } from "./camera.js";
import * as draw from "./canvas.js";
import { bars, byId, crops, element, notes, percent, picture, pictures, similar } from "./render.js";

const REMEMBERED = 24;
const NO_PHOTO = "This is a link or a text, not a photo: save the photo first.";
const ANALYSES = ["saliency", "similar", "localize"];

let served = null; // the response of /api/models
let shown = null; // the photo on the page and its predictions
let waiting = []; // photos without predictions, the next one first; results of others are dropped
let working = false; // whether the queue is being processed
let done = 0; // photos finished since the queue was last empty
let turn = 0; // counts selections: results of an older selection go to the history, but are not shown

listen();
const ready = start(); // photos that are chosen earlier wait for it

async function start() {
  for (const each of document.querySelectorAll(".origin")) each.textContent = location.origin;
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
  offerCamera((photo) => choose([{ photo, name: "From the camera" }]), wrong);
}

function offerModels() {
  byId("model").replaceChildren(...served.models.map(({ name }) => element("option", {}, name)));
  byId("choice").hidden = served.models.length < 2;
  byId("model").addEventListener("change", switchModel);
  describe();
}

/** The chosen model predicts the photo on the page and all that wait. */
function switchModel() {
  describe();
  for (const entry of waiting) entry.used = model();
  if (!shown) return;
  waiting = waiting.filter(({ photo }) => photo !== shown.entry.photo);
  enqueue([shown.entry], shown.entry.turn === turn ? turn : ++turn);
}

const model = () => served.models.find(({ name }) => name === byId("model").value);

function describe() {
  const { name, recipe, classes, trained, tested } = model();
  const known = served.models.length < 2 ? [name] : [];
  const facts = [...known, recipe, `${classes.toLocaleString("en")} classes`, trained, tested];
  byId("about").textContent = [...new Set(facts)].filter(Boolean).join(" \u00b7 ");
}

function listen() {
  byId("file").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
    else wrong(NO_PHOTO);
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
    else wrong(NO_PHOTO);
  });
  byId("modes").addEventListener("change", redraw);
}

async function take(files) {
  const chosen = [...files];
  await ready;
  if (!served) return;
  const before = (file) => (chosen.length > 1 ? `${file.name}: ` : "");
  const entries = chosen.map((file) => ({ photo: file, name: file.name, before: before(file) }));
  choose(entries.slice(0, REMEMBERED));
  if (entries.length > REMEMBERED) wrong(`Only the first ${REMEMBERED} of ${entries.length} photos are used.`);
}

async function trySample(sample) {
  try {
    const photo = await (await fetch(sample.photo)).blob();
    choose([{ photo, name: `Photo ${sample.photo.split("/").at(-1)} of the store`, truth: sample.wnid ? sample : null }]);
  } catch {
    wrong("The server does not respond: has it been stopped?");
  }
}

function choose(entries) {
  byId("refused").replaceChildren();
  enqueue(entries, ++turn);
}

/** Predicts photos one after the other, before those that wait already; the last one stays on the page. */
async function enqueue(entries, at) {
  waiting.unshift(...entries.map((entry) => ({ ...entry, used: model(), turn: at })));
  progress();
  if (working) return;
  working = true;
  while (waiting.length) {
    const entry = waiting[0];
    try {
      await process(entry);
    } catch (error) {
      if (waiting.includes(entry)) refuse(error, entry.before, entry.turn === turn);
      finish(entry);
    }
    progress();
  }
  working = false;
  done = 0;
}

async function process(entry) {
  const found = await classify(entry);
  if (!waiting.includes(entry) || found.used !== entry.used) return;
  remember(found);
  if (entry.turn === turn) {
    show(found);
    await analyze(found);
  }
  finish(entry);
}

function finish(entry) {
  if (!waiting.includes(entry)) return;
  waiting.splice(waiting.indexOf(entry), 1);
  done += 1;
}

function progress() {
  const total = done + waiting.length;
  const text = total > 1 ? `Predicting: ${done + 1} of ${total}.` : "Predicting.";
  byId("progress").textContent = waiting.length ? text : "";
  byId("frame").classList.toggle("busy", waiting.some((entry) => entry.turn === turn));
}

async function classify(entry) {
  const { photo, used } = entry;
  if (photo.size === 0) throw new Refused("The file is empty.");
  if (photo.size > served.max_bytes) {
    const most = Math.round(served.max_bytes / 2 ** 20);
    throw new Refused(`The photo is larger than ${most} MB: choose a smaller one.`);
  }
  const prediction = await predict("classify", photo, { model: used.name, crops: 1 });
  const square = await draw.loaded(prediction.square.image);
  const image = (await draw.decoded(photo)) ?? square;
  return { entry, used, prediction, square, image, analyses: {} };
}

/** The model's other predictions, shown as they arrive, until another photo or model is chosen. */
async function analyze(found) {
  const at = turn;
  for (const endpoint of ANALYSES.filter((each) => supports(found, each) && !(each in found.analyses))) {
    if (turn !== at || found.used !== model()) return;
    found.analyses[endpoint] = await predict(endpoint, found.entry.photo, { model: found.used.name });
    if (shown === found) showAnalyses(found);
  }
}

/** Whether the browser can decode the photo itself. */
const drawable = ({ image, square }) => image !== square;

/** Boxes are drawn on the photo itself. */
const supports = (found, endpoint) =>
  found.used.answers.includes(endpoint) && (endpoint !== "localize" || drawable(found));

function show(found) {
  shown?.button.removeAttribute("aria-current");
  shown = found;
  shown.button.setAttribute("aria-current", "true");
  const { prediction, entry } = found;
  const [first] = prediction.classes;
  byId("frame").classList.remove("empty");
  byId("prompt").hidden = true;
  byId("picture").hidden = byId("classes").hidden = byId("modes").hidden = false;
  byId("picture").setAttribute("aria-label", `${entry.name}, predicted: ${first.name}`);
  byId("caption").hidden = false;
  bars(prediction.classes, entry.truth ?? null);
  notes(prediction.photo.notes);
  const thumbnail = (crop) => draw.cropThumbnail(found.square, crop, prediction.square.crop);
  crops(prediction, thumbnail, pointAt);
  byId("announcement").textContent = prediction.classes
    .map((each) => `${each.name} ${percent(each.probability)}`)
    .join(", ");
  showAnalyses(found);
  byId("frame").scrollIntoView({ block: "nearest" });
}

function showAnalyses(found) {
  byId("similar").hidden = true;
  if (found.analyses.similar) similar(found.analyses.similar);
  for (const [mode, has] of [["saliency", found.analyses.saliency], ["boxes", found.analyses.localize]]) {
    const label = document.querySelector(`[data-needs="${mode}"]`);
    label.hidden = !has;
    const expected = supports(shown, mode === "boxes" ? "localize" : mode);
    if (!has && label.querySelector("input").checked && !expected) {
      document.querySelector('[value="photo"]').checked = true;
    }
  }
  redraw();
}

function pointAt(crop) {
  if (!crop) return redraw();
  draw.crop(byId("picture"), shown.square, crop, shown.prediction.square.crop);
  const [first] = crop.classes;
  byId("caption").textContent = `${shown.entry.name}: prediction for this crop alone: ${first.name} ${percent(first.probability)}`;
}

function redraw() {
  const canvas = byId("picture");
  const { image, square, analyses } = shown;
  const mode = document.querySelector("[name=mode]:checked").value;
  if (mode === "saliency" && analyses.saliency) draw.saliency(canvas, square, analyses.saliency);
  else if (mode === "boxes" && analyses.localize) draw.boxes(canvas, image, analyses.localize.boxes, boxLabel);
  else if (mode === "square") draw.place(canvas, square);
  else draw.place(canvas, image);
  byId("caption").textContent = caption(mode);
}

/** Describes the picture in this mode. */
function caption(mode) {
  const { entry, prediction, analyses } = shown;
  const { side, crop } = prediction.square;
  const { width, height } = prediction.photo;
  const unknown = "; the browser cannot show this format: this is the model input";
  const texts = {
    square: `, model input: resized to ${side} \u00d7 ${side} pixels, cropped to ${crop} \u00d7 ${crop}`,
    saliency: analyses.saliency && `: bright areas of the center crop support ${analyses.saliency.name} (Grad-CAM)`,
    boxes: analyses.localize && `: ${analyses.localize.boxes.length} found`,
  };
  const size = `, ${width} \u00d7 ${height} pixels`;
  return entry.name + (texts[mode] || size + (drawable(shown) ? "" : unknown));
}

/** A score is not a probability: it is the sum over the windows that agree. */
const boxLabel = (box) => `${box.name} ${box.score.toFixed(1)}`;

function remember(found) {
  const [first] = found.prediction.classes;
  found.src = draw.thumbnail(found.image);
  found.name = first.name;
  found.details = [percent(first.probability), ...(served.models.length > 1 ? [found.used.name] : [])];
  found.button = picture(found, recall);
  found.button.title = found.entry.name;
  const list = byId("history-list"); // not rebuilt: one of its buttons may have the focus
  list.prepend(element("li", {}, found.button));
  const oldest = list.children[REMEMBERED];
  if (oldest?.contains(document.activeElement)) oldest.previousElementSibling.firstElementChild.focus();
  oldest?.remove();
  byId("history").hidden = false;
}

/** Shows a photo again; the queue is processed all the same. */
function recall(found) {
  ++turn;
  byId("model").value = found.used.name;
  describe();
  show(found);
  progress();
  analyze(found).catch(refuse);
}

function refuse(error, before = "", scroll = true) {
  if (!(error instanceof Refused)) console.error(error);
  wrong(before + (error instanceof Refused ? error.message : `Something went wrong: ${error.message}`), scroll);
}

/** An error is shown until other photos are chosen. */
function wrong(sentence, scroll = true) {
  byId("refused").append(element("p", {}, sentence));
  if (scroll) byId("refused").scrollIntoView({ block: "nearest" });
}
