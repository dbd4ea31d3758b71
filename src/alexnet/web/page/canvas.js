// Canvases: the photo, the square that the model receives, and overlays.

const LONG_SIDE = 960;
const DARKEST = 0.82;
const INK = "#ffffff";
const EDGE = "#0f3d45";

/** An image that can be drawn, or null where the browser cannot decode this format. */
export async function decoded(blob) {
  return createImageBitmap(blob).catch(() => null);
}

export async function loaded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Draws the image over the whole canvas; returns the context and the scale from image to canvas pixels. */
export function place(canvas, image) {
  const scale = LONG_SIDE / Math.max(image.width, image.height);
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return { context, scale };
}

/** The square with all but one crop dimmed. */
export function crop(canvas, square, at, side) {
  const { context, scale } = place(canvas, square);
  const [x, y, length] = [at.x, at.y, side].map((each) => each * scale);
  dimAround(context, canvas, x, y, length, 0.6);
  outline(context, x, y, length, length);
}

/** The square, dark where saliency is low; `map.values` is a grid in [0, 1]. */
export function saliency(canvas, square, map) {
  const { context, scale } = place(canvas, square);
  const shade = grid(map.values);
  const [x, y, side] = [map.x, map.y, map.crop].map((each) => each * scale);
  context.drawImage(shade, x, y, side, side);
  dimAround(context, canvas, x, y, side, DARKEST);
}

/** A small canvas with darkness 1 - value; it is smoothed when drawn large. */
function grid(values) {
  const small = document.createElement("canvas");
  small.height = values.length;
  small.width = values[0].length;
  const context = small.getContext("2d");
  const pixels = context.createImageData(small.width, small.height);
  values.flat().forEach((value, i) => (pixels.data[4 * i + 3] = 255 * DARKEST * (1 - value)));
  context.putImageData(pixels, 0, 0);
  return small;
}

function dimAround(context, canvas, x, y, side, darkness) {
  const outside = new Path2D();
  outside.rect(0, 0, canvas.width, canvas.height);
  outside.rect(x, y, side, side);
  context.fillStyle = `rgb(0 0 0 / ${darkness})`;
  context.fill(outside, "evenodd");
}

function outline(context, x, y, width, height) {
  for (const [color, line] of [[EDGE, 7], [INK, 3]]) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.strokeRect(x, y, width, height);
  }
}

/** The photo with boxes (in fractions of its sides) and their labels. */
export function boxes(canvas, image, found, labelOf) {
  const { context } = place(canvas, image);
  context.font = "600 26px system-ui, sans-serif";
  for (const box of found) {
    const [x, y] = [box.x0 * canvas.width, box.y0 * canvas.height];
    outline(context, x, y, box.x1 * canvas.width - x, box.y1 * canvas.height - y);
    const label = labelOf(box);
    const top = Math.max(0, y - 38);
    context.fillStyle = EDGE;
    context.fillRect(x, top, context.measureText(label).width + 20, 38);
    context.fillStyle = INK;
    context.fillText(label, x + 10, top + 27);
  }
}

/** A single crop, as the model receives it. */
export function cropThumbnail(square, at, side, size = 112) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  if (at.mirrored) {
    context.translate(size, 0);
    context.scale(-1, 1);
  }
  context.drawImage(square, at.x, at.y, side, side, 0, 0, size, size);
  return canvas;
}

/** A small square from the center of an image, as a data: URL. */
export function thumbnail(image, size = 144) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const side = Math.min(image.width, image.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, size, size);
  return canvas.toDataURL("image/jpeg", 0.8);
}
