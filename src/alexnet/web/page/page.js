// The page: photos come in, the server is asked, answers are shown. All that is remembered is in this tab.

import { ask, get, Refused } from "./ask.js";
import { offerCamera } from "./camera.js";
import * as draw from "./draw.js";
import { bars, byId, crops, element, notes, percent, picture, pictures, similar } from "./show.js";

const REMEMBERED = 24;
const NO_PHOTO = "That was a link or a text, not a photo: save the photo first.";
const MORE = ["saliency", "similar", "localize"];

let served = null; // what /api/models says
let shown = null; // the photo on the page and all that was said of it
let waiting = []; // photos not yet answered, the next one first; what is no longer among them is not wanted
let looking = false; // whether they are being asked about
let done = 0; // how many were, since the last time none waited
let turn = 0; // counts what was chosen to be seen: what an older choice brings is remembered, but not shown

listen();
const ready = start(); // what is chosen before waits for it

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
  offerCamera((photo) => choose([{ photo, name: "From the camera" }]), wrong);
}

function offerModels() {
  byId("model").replaceChildren(...served.models.map(({ name }) => element("option", {}, name)));
  byId("choice").hidden = served.models.length < 2;
  byId("model").addEventListener("change", askTheOther);
  describe();
}

/** The net chosen is asked about the photo on the page and about all that wait. */
function askTheOther() {
  describe();
  for (const entry of waiting) entry.used = model();
  if (!shown) return;
  waiting = waiting.filter(({ photo }) => photo !== shown.entry.photo);
  look([shown.entry], shown.entry.turn === turn ? turn : ++turn);
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
  if (entries.length > REMEMBERED) wrong(`Of ${entries.length} photos the first ${REMEMBERED} are looked at.`);
}

async function trySample(sample) {
  try {
    const photo = await (await fetch(sample.photo)).blob();
    choose([{ photo, name: `Photo ${sample.photo.split("/").at(-1)} of the store`, truth: sample.wnid ? sample : null }]);
  } catch {
    wrong("The server does not answer: has it been stopped?");
  }
}

function choose(entries) {
  byId("refused").replaceChildren();
  look(entries, ++turn);
}

/** Asks about photos one after the other, before those that wait already; the last one stays on the page. */
async function look(entries, at) {
  waiting.unshift(...entries.map((entry) => ({ ...entry, used: model(), turn: at })));
  progress();
  if (looking) return;
  looking = true;
  while (waiting.length) {
    const entry = waiting[0];
    try {
      await answer(entry);
    } catch (error) {
      if (waiting.includes(entry)) refuse(error, entry.before, entry.turn === turn);
      finish(entry);
    }
    progress();
  }
  looking = false;
  done = 0;
}

async function answer(entry) {
  const found = await classified(entry);
  if (!waiting.includes(entry) || found.used !== entry.used) return;
  remember(found);
  if (entry.turn === turn) {
    show(found);
    await more(found);
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
  const words = total > 1 ? `Looking: ${done + 1} of ${total}.` : "Looking.";
  byId("progress").textContent = waiting.length ? words : "";
  byId("frame").classList.toggle("busy", waiting.some((entry) => entry.turn === turn));
}

async function classified(entry) {
  const { photo, used } = entry;
  if (photo.size === 0) throw new Refused("The file is empty.");
  if (photo.size > served.max_bytes) {
    const most = Math.round(served.max_bytes / 2 ** 20);
    throw new Refused(`The photo is larger than ${most} MB: choose a smaller one.`);
  }
  const answer = await ask("classify", photo, { model: used.name, crops: 1 });
  const square = await draw.loaded(answer.square.image);
  const image = (await draw.decoded(photo)) ?? square;
  return { entry, used, answer, square, image, more: {} };
}

/** What else the net can say, shown as it comes, until another photo or net is chosen. */
async function more(found) {
  const at = turn;
  for (const what of MORE.filter((each) => says(found, each) && !(each in found.more))) {
    if (turn !== at || found.used !== model()) return;
    found.more[what] = await ask(what, found.entry.photo, { model: found.used.name });
    if (shown === found) showMore(found);
  }
}

/** Whether the browser can show the photo itself. */
const drawable = ({ image, square }) => image !== square;

/** Boxes are drawn on the photo itself. */
const says = (found, what) => found.used.answers.includes(what) && (what !== "localize" || drawable(found));

function show(found) {
  shown?.button.removeAttribute("aria-current");
  shown = found;
  shown.button.setAttribute("aria-current", "true");
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
  byId("said").textContent = answer.classes.map((each) => `${each.name} ${percent(each.probability)}`).join(", ");
  showMore(found);
  byId("frame").scrollIntoView({ block: "nearest" });
}

function showMore(found) {
  byId("similar").hidden = true;
  if (found.more.similar) similar(found.more.similar);
  for (const [mode, has] of [["saliency", found.more.saliency], ["boxes", found.more.localize]]) {
    const label = document.querySelector(`[data-needs="${mode}"]`);
    label.hidden = !has;
    const promised = says(shown, mode === "boxes" ? "localize" : mode);
    if (!has && label.querySelector("input").checked && !promised) {
      document.querySelector('[value="photo"]').checked = true;
    }
  }
  redraw();
}

function pointAt(crop) {
  if (!crop) return redraw();
  draw.crop(byId("picture"), shown.square, crop, shown.answer.square.crop);
  const [first] = crop.classes;
  byId("caption").textContent = `${shown.entry.name}: this crop alone says ${first.name} ${percent(first.probability)}`;
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
  const unknown = "; the browser cannot show this kind of file: this is what the net gets";
  const words = {
    square: ` as the net gets it: ${side} \u00d7 ${side} pixels, of which it sees ${crop} \u00d7 ${crop} at a time`,
    saliency: said.saliency && `: bright is what speaks for ${said.saliency.name} in the middle crop (Grad-CAM)`,
    boxes: said.localize && `: ${said.localize.boxes.length} found`,
  };
  const size = `, ${width} \u00d7 ${height} pixels`;
  return entry.name + (words[mode] || size + (drawable(shown) ? "" : unknown));
}

/** A score is no share: it adds up the windows that agree. */
const boxWords = (box) => `${box.name} ${box.score.toFixed(1)}`;

function remember(found) {
  const [first] = found.answer.classes;
  found.src = draw.thumbnail(found.image);
  found.name = first.name;
  found.words = [percent(first.probability), ...(served.models.length > 1 ? [found.used.name] : [])];
  found.button = picture(found, recall);
  found.button.title = found.entry.name;
  const list = byId("history-list"); // not made anew: somebody may be at one of its buttons
  list.prepend(element("li", {}, found.button));
  const oldest = list.children[REMEMBERED];
  if (oldest?.contains(document.activeElement)) oldest.previousElementSibling.firstElementChild.focus();
  oldest?.remove();
  byId("history").hidden = false;
}

/** Shows a photo again; those that wait are asked about all the same. */
function recall(found) {
  ++turn;
  byId("model").value = found.used.name;
  describe();
  show(found);
  progress();
  more(found).catch(refuse);
}

function refuse(error, before = "", seen = true) {
  if (!(error instanceof Refused)) console.error(error);
  wrong(before + (error instanceof Refused ? error.message : `Something went wrong: ${error.message}`), seen);
}

/** What went wrong stands until other photos are chosen. */
function wrong(words, seen = true) {
  byId("refused").append(element("p", {}, words));
  if (seen) byId("refused").scrollIntoView({ block: "nearest" });
}
