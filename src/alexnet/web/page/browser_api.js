// In place of api.js on a page without a server: the same functions, but the model runs in the browser.

import * as ort from "onnxruntime-web";
import { byId } from "./render.js";

export class Refused extends Error {}

const UNREADABLE = "The browser cannot open this file as a photo: choose a JPEG, PNG or WebP file.";
const MOST_OBLONG = 200;

const loading = load();
loading.catch(() => {}); // it is reported where the model is used

/** What the page wants to know first: the model; there are no photos to try. */
export async function get(path) {
  const { about } = await loading;
  return path === "/api/models" ? about.models : { samples: [] };
}

/** The prediction for a photo (a Blob). */
export async function predict(endpoint, photo) {
  const { about, session } = await loading;
  const pixels = await decode(photo, about.models.max_pixels);
  await new Promise((painted) => setTimeout(painted)); // the model then blocks the page
  const outputs = await session.run({ photo: new ort.Tensor("uint8", pixels.data, [pixels.height, pixels.width, 3]) });
  const [model] = about.models.models;
  return {
    model: model.name,
    photo: { width: pixels.width, height: pixels.height, notes: [] },
    views: model.views,
    classes: best(about.classes, outputs.probabilities.data, 5),
    square: { side: model.side, crop: model.crop, image: picture(outputs.square) },
    crops: [],
  };
}

async function load() {
  const about = await (await received("model.json")).json();
  const [model, runtime] = [about.files.model, about.files.runtime];
  byId("progress").textContent = `Loading the model: ${Math.ceil((model.bytes + runtime.bytes) / 1e6)} MB.`;
  const [graph, wasm] = await Promise.all(
    [model, runtime].map(async ({ address, integrity }) => (await received(address, integrity)).arrayBuffer()),
  );
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1; // more need headers that a static page does not have
  const session = await ort.InferenceSession.create(new Uint8Array(graph), { executionProviders: ["wasm"] });
  byId("progress").textContent = "";
  return { about, session };
}

async function received(address, integrity = "") {
  let response;
  try {
    response = await fetch(address, { integrity });
  } catch {
    failed(`${address} could not be loaded, or is not the file that this page was made with.`);
  }
  if (!response.ok) failed(`${address} could not be loaded: the server responded with status ${response.status}.`);
  return response;
}

function failed(sentence) {
  byId("progress").textContent = "";
  throw new Refused(sentence);
}

/** RGB pixels of a photo, upright, on white where it is transparent. */
async function decode(photo, most) {
  const image = await createImageBitmap(photo, { colorSpaceConversion: "none" }).catch(() => {
    throw new Refused(UNREADABLE);
  });
  const { width, height } = image;
  if (width * height > most) {
    throw new Refused(`The photo has more than ${Math.round(most / 1e6)} million pixels: choose a smaller one.`);
  }
  if (Math.max(width, height) > MOST_OBLONG * Math.min(width, height)) {
    throw new Refused(`One side of the photo is more than ${MOST_OBLONG} times the other: cut it first.`);
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  const { data: shown } = context.getImageData(0, 0, width, height);
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < shown.length; from += 4) {
    data[to++] = shown[from];
    data[to++] = shown[from + 1];
    data[to++] = shown[from + 2];
  }
  return { data, width, height };
}

/** The most probable classes, ties in label order. */
function best(classes, probabilities, count) {
  return classes
    .map((each, label) => ({ ...each, probability: probabilities[label] }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}

/** A uint8 tensor (H, W, 3 or 1) as the address of a picture. */
function picture({ data, dims }) {
  const [height, width, channels] = dims;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let color = 0; color < 3; color++) {
      pixels.data[4 * pixel + color] = data[channels * pixel + (channels === 3 ? color : 0)];
    }
    pixels.data[4 * pixel + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}
